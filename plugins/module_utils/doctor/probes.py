# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes of each hop between the client and a node. A probe returns checks (report.py)."""

import os
import shlex
import socket
import subprocess
import time
import typing as t

from ..cluster import job_directory, site_file, site_policy
from ..cluster.pairing import Pairing
from ..common import listeners, programs
from ..common.errors import SessionError
from ..common.text import number, one_line
from ..paraview import installed
from ..paraview.wrappers import quoted
from ..routes.context import RouteContext
from ..routes.node_login import NodeLogin
from ..routes.node_tunnels import NodeTunnel
from ..routes.relays import site_relay_fault
from ..routes.unavailable import RouteUnavailable
from ..schedulers import answers
from ..schedulers.jobs import Jobs, over, refusal
from ..schedulers.tables.registry import Table
from ..ssh import client as openssh
from .report import Check, failed, ok, unsure, warning

_CLIENT, _TO_LOGIN, _LOGIN, _TO_NODES, _NODE = "client", "client to login node", "login node", "login node to nodes", "node"
_PROVISION = "ansible-playbook sciviz.paraview.provision -e host={0}"
# Seconds by which clocks may differ. A greater difference affects time stamps of files, and Kerberos tickets.
_CLOCK = 60
# Writes a file of a typical log's size.
_WRITE = """umask 077; d={0}/.paraview-connect.$$
mkdir "$d" && dd if=/dev/zero of="$d/f" bs=1024 count=64 2>&1
c=$?; rm -rf "$d"; exit $c
"""
# An id that no job has: the probe only checks whether the batch system answers.
_NO_JOB = "999999999"


def client(executable: str, display: t.Optional[str] = None) -> t.List[Check]:
    """Checks of this host: its tools and their versions."""
    checks = []
    try:
        number = openssh.version(executable)
    except OSError:
        number = (0, 0)
    if number == (0, 0):
        checks.append(failed(_CLIENT, "ssh", "{0} is no OpenSSH client".format(executable), "you", "install OpenSSH's client, or set ansible_ssh_executable"))
    else:
        checks.append(ok(_CLIENT, "ssh", "OpenSSH {0}.{1}".format(*number)))
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") if display is None else display):
        checks.append(unsure(_CLIENT, "display", "this machine has none; ParaView's window needs one"))
    return checks


def paraview(options: t.Dict[str, t.Any]) -> t.Tuple[t.List[installed.Installed], Check]:
    """Searches for ParaView on this host.

    Args:
        options: a session's.
    Returns:
        The ParaViews that a session may use, and a check.
    """
    if options["client_host"]:
        why = "it runs on {0}, which is not checked from this machine".format(options["client_host"])
        return [installed.Installed("", "", why)], unsure(_CLIENT, "ParaView", why)
    try:
        found = installed.clients(options)
    except SessionError as error:
        return [], failed(_CLIENT, "ParaView", error.why, "you", error.way_out, error.what)
    if not found:
        return found, unsure(_CLIENT, "ParaView", "none is on the PATH of this machine, nor where it is usually installed")
    listing = ", ".join("{0} ({1})".format(one.version or "version unknown", one.program) for one in found)
    return found, (ok if found[0].version else unsure)(_CLIENT, "ParaView", listing)


def network(target: openssh.Target) -> t.List[Check]:
    """Checks of name and port of the login node, if ssh connects to it directly."""
    settings = openssh.configuration(target)
    if settings.get("proxycommand", "none") != "none" or settings.get("proxyjump", "none") != "none":
        return [unsure(_TO_LOGIN, "name and port", "ssh connects through {0}".format(settings.get("proxyjump") or "a command of its configuration"))]
    host, port = settings.get("hostname", target.host), int(settings.get("port") or target.port or 22)
    try:
        addresses = sorted({str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError) as error:
        return [failed(_TO_LOGIN, "name", "the name {0} cannot be resolved ({1})".format(host, error), "you",
                       "correct ansible_host of this inventory host; if the name needs a VPN, check whether it is up")]
    checks = [ok(_TO_LOGIN, "name", "{0} is {1}".format(host, ", ".join(addresses)))]
    try:
        with socket.create_connection((host, port), 10):
            checks.append(ok(_TO_LOGIN, "port", "port {0} answers".format(port)))
    except ConnectionRefusedError:
        checks.append(failed(_TO_LOGIN, "port", "nothing listens on port {0} of {1}".format(port, host), "you",
                             "correct ansible_port, or ask the site whether sshd runs"))
    except OSError as error:
        checks.append(failed(_TO_LOGIN, "port", "port {0} of {1} does not answer ({2})".format(port, host, error), "you",
                             "check the network, the VPN and the firewall between here and {0}".format(host)))
    return checks


def authentication(error: t.Optional[SessionError] = None) -> Check:
    """Check of the login; error is the SessionError of a failed one."""
    if error is None:
        return ok(_TO_LOGIN, "authentication", "accepted, with a single login")
    return failed(_TO_LOGIN, "authentication", error.why or error.what, "you", error.way_out, error.what)


class LoginNodeProbes:
    """Probes of the login node, over the session's own connection.

    Args:
        context: as for a route.
        host: the inventory host's name, for commands in the way out.
        table: the batch system's table; None if no batch system was found.
        prelude: shell lines that put the batch system's commands on the PATH.
    """

    def __init__(self, context: RouteContext, host: str, table: t.Optional[Table], prelude: str) -> None:
        self.context, self.host, self.table, self.prelude = context, host, table, prelude
        self.login = context.login_node.name

    def shell(self) -> Check:
        """Check of the shell's output when it starts."""
        command = [self.context.master.executable, "-F", os.devnull, "-S", self.context.master.control_path, "-T", "--", "master", "true"]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, check=False)
        except subprocess.TimeoutExpired:
            return failed(_LOGIN, "shell start-up", "the shell on {0} takes more than 30 s to start".format(self.login), "you",
                          "check the commands in ~/.bashrc, ~/.profile and other start-up files there")
        if done.returncode == 255:
            return unsure(_LOGIN, "shell start-up", "sshd allows no second session on a connection")
        if done.stdout.strip():
            return failed(_LOGIN, "shell start-up", "the start-up files of the shell print text, which breaks rsync, sftp and others", "you",
                          "put this at the top of ~/.bashrc there:\ncase $- in *i*) ;; *) return ;; esac", done.stdout.decode("utf-8", "replace"))
        return ok(_LOGIN, "shell start-up", "prints nothing")

    def home(self) -> Check:
        """Check of the directory for sessions' files: the home, or another one."""
        facts = self.context.facts
        elsewhere = facts.get("remote_dir", "")
        name, place = ("remote directory", job_directory.parent(elsewhere, facts["uid"])) if elsewhere else ("home", facts["home"])
        # A directory of ours may exist in it, and is used then.
        base = '$(if [ -d {0} ]; then echo {0}; else echo {1}; fi)'.format(shlex.quote(place), shlex.quote(elsewhere)) if elsewhere else "$HOME"
        code, out, err = self.context.login_node.run(_WRITE.format(base), 30)
        if code == 0:
            return ok(_LOGIN, name, elsewhere or place)
        return failed(_LOGIN, name, "cannot write in {0}".format(elsewhere or place), "you",
                      "free some space there, or ask the site about your quota; paraview_remote_dir names another directory", err or out)

    def clock(self) -> Check:
        """Check of the clock."""
        code, out, _err = self.context.login_node.run("date +%s", 15)
        seconds = number(out)
        if code != 0 or seconds is None:
            return unsure(_LOGIN, "clock", "date printed no time")
        difference = abs(seconds - time.time())
        if difference > _CLOCK:
            return failed(_LOGIN, "clock", "the clocks of {0} and of this machine differ by {1:.0f} s".format(self.login, difference), "you",
                          "set the clock of this machine (timedatectl set-ntp true); if it is right, inform the site")
        return ok(_LOGIN, "clock", "{0:.0f} s apart".format(difference))

    def batch_system(self, why: str = "") -> t.List[Check]:
        """Checks of the batch system: whether there is one, and whether it answers."""
        if self.table is None:
            return [failed(_LOGIN, "batch system", why or "none was found on {0}".format(self.login), "you",
                           "set paraview_scheduler, or describe the site's own in paraview_schedulers")]
        queue = Jobs(over(self.context.login_node.run, self.prelude), self.table)
        job = queue.ask(_NO_JOB)
        if job.gone or job.native or job.state in answers.OVER:
            return [ok(_LOGIN, "batch system", "{0} answers".format(self.table["title"]))]
        return [failed(_LOGIN, "batch system", "{0} does not answer: {1}".format(self.table["title"], job.reason), "site",
                       "inform the site that its batch system does not answer on {0}".format(self.login))]

    def acceptance(self, script: str) -> Check:
        """Checks whether the batch system would accept a job, if that can be queried without submitting one.

        Args:
            script: text of the job's script.
        """
        argv = self.table.get("would_take")
        if not argv:
            return unsure(_LOGIN, "queue", "{0} cannot check a job without submitting it; try -e paraview_test_job=true".format(self.table["title"]))
        words = " ".join('"$f"' if word == "{script}" else shlex.quote(word) for word in argv)
        code, out, err = self.context.login_node.run("{0}\numask 077; f=$(mktemp) || exit 1; trap 'rm -f \"$f\"' 0\nprintf %s {1} > \"$f\"\n{2}".format(
            self.prelude, shlex.quote(script), words), 60)
        if code == 0:
            return ok(_LOGIN, "queue", err or out or "would accept such a job")
        return failed(_LOGIN, "queue", "{0} would not accept such a job".format(self.table["title"]), "you",
                      "change the variable that its message is about: paraview_queue, paraview_account, paraview_nodes, paraview_walltime, ...",
                      refusal(out, err))

    def forwarding(self) -> t.List[Check]:
        """Sets up remote forwards, and checks on which addresses sshd listens."""
        return [self._remote("remote forwarding to loopback", "127.0.0.1"), self._cluster_side()]

    def _cluster_side(self) -> Check:
        name = "remote forwarding to the cluster"
        try:
            address = self.context.cluster_address(self.context.facts.get("first", ""))
        except RouteUnavailable as unavailable:
            return failed(_LOGIN, name, str(unavailable), "site", "publish cluster_address with provision: " + _PROVISION.format(self.host))
        return self._remote(name, address)

    def _remote(self, name: str, address: str) -> Check:
        try:
            port = self.context.remote_forward(address, self.context.options["login_ports"] if address != "127.0.0.1" else "", "127.0.0.1:9")
        except RouteUnavailable as unavailable:
            return failed(_LOGIN, name, str(unavailable), "site", "in sshd_config of {0}:\nAllowTcpForwarding yes\nor: {1}".format(
                self.login, _PROVISION.format(self.host)))
        try:
            self.context.check_listener(address, port)
        except RouteUnavailable as unavailable:
            if address == "127.0.0.1":
                return failed(_LOGIN, name, str(unavailable), "site", "ask the site; two accounts should not share a port")
            way_out = "in sshd_config of {0}:\nGatewayPorts clientspecified\nor the relay: {1} -e paraview_relay_install=true"
            return failed(_LOGIN, name, str(unavailable), "site", way_out.format(self.login, _PROVISION.format(self.host)))
        finally:
            self.context.cancel_forwards()
        return ok(_LOGIN, name, "sshd listens on {0}:{1} for you".format(address, port))

    def nodes(self, node: str) -> t.List[Check]:
        """Checks of the connections from the login node to a node of the cluster."""
        if not node:
            return [unsure(_TO_NODES, "login node to node", "no node is known; try -e paraview_test_job=true")]
        try:
            address = self.context.reached_at(node)
        except RouteUnavailable as unavailable:
            return [failed(_TO_NODES, "login node to node", str(unavailable), "you",
                           "correct paraview_node_name, or ask the site to correct node_name in site.yml")]
        ports = self.context.options["server_ports"]
        answer = self.context.reach(address, listeners.parse_range(ports)[0] if ports else 45871)
        checks = []
        if answer == "forbidden":
            checks.append(failed(_LOGIN, "local forwarding", "sshd on {0} forbids local forwarding".format(self.login), "site",
                                 "in sshd_config of {0}:\nAllowTcpForwarding yes\nor: {1}".format(self.login, _PROVISION.format(self.host))))
            checks.append(unsure(_TO_NODES, "login node to node", "it cannot be checked without local forwarding"))
        elif answer == "no IPv4":
            checks.append(failed(_LOGIN, "local forwarding", self.context.no_ipv4(), "site", "in sshd_config of {0}:\nAddressFamily any".format(self.login)))
        else:
            checks.append(ok(_LOGIN, "local forwarding", "sshd allows it"))
            if answer == "filtered":
                checks.append(failed(_TO_NODES, "login node to node", "{0} does not reach a port of {1}: a firewall drops it".format(self.login, node), "site",
                                     "open the ports of pvserver on nodes for {0}, or use a reverse route: paraview_route: reverse_tunnel".format(self.login)))
            else:
                checks.append(ok(_TO_NODES, "login node to node", "{0} answers".format(node)))
        try:
            NodeLogin(self.context, node).can_be_tried(address)
            checks.append(unsure(_TO_NODES, "ssh to nodes", "{0} runs sshd with a known host key; it may accept users with a job there".format(node)))
        except RouteUnavailable as unavailable:
            checks.append(unsure(_TO_NODES, "ssh to nodes", str(unavailable)))
        return checks

    def ssh_to_node(self, node: str) -> Check:
        """Check of ssh to a node on which a job of the user's runs."""
        self.context.job = {"nodes": [node], "addresses": []}
        route = NodeTunnel(self.context)
        try:
            route.ready_for(node)
            return ok(_TO_NODES, "ssh to nodes", route.explanation or "{0} accepts your own keys while your job runs there".format(node))
        except RouteUnavailable as unavailable:
            return unsure(_TO_NODES, "ssh to nodes", str(unavailable))
        finally:
            route.remove()

    def relay(self) -> Check:
        """Check of the site's relay."""
        site = self.context.facts["site"].get("relay") or {}
        if not site:
            return unsure(_LOGIN, "relay", "the site offers none")
        low, high = listeners.parse_range(site["ports"])
        ports = sorted({one.port for one in self.context.login_node.listeners() if low <= one.port <= high and one.address in (site["address"], "0.0.0.0")})
        if ports:
            fault = site_relay_fault(self.context.login_node, site, ports[0])
            if fault:
                return failed(_LOGIN, "relay", fault, "site", "ask the site whether its relay runs: systemctl status paraview-relay")
            return ok(_LOGIN, "relay", "{0}, ports {1}".format(site["address"], site["ports"]))
        way_out = "on {0}: systemctl status paraview-relay; or install it again: {1} -e paraview_relay_install=true"
        return failed(_LOGIN, "relay", "nothing listens on {0}, ports {1}".format(site["address"], site["ports"]), "site",
                      way_out.format(self.login, _PROVISION.format(self.host)))

    def pvserver(self, clients: t.List[installed.Installed], options: t.Dict[str, t.Any]) -> t.Tuple[t.List[Check], t.List[str]]:
        """Checks pvserver on the login node, and whether its version matches a ParaView of the client host.

        Args:
            clients: as installed.clients() returns them.
            options: a session's.
        Returns:
            Checks, and the modules for the job to load.
        """
        pairing = Pairing(self.context.login_node.run, clients, options, self.context.facts["site"], self.login)
        try:
            pair = pairing.pair()
        except SessionError as error:
            found = [ok(_LOGIN, "pvserver", pairing.server.version)] if pairing.server and pairing.server.version else []
            return found + [failed(_NODE, "version", error.what, "you", error.way_out, error.why)], []
        if not pair.server.version:
            return [unsure(_LOGIN, "pvserver", "{0}; it may exist on nodes only".format(pair.server.why)), unsure(_NODE, "version", pair.line)], pair.modules
        return [ok(_LOGIN, "pvserver", pair.server.version), (ok if pair.client.version else unsure)(_NODE, "version", pair.line)], pair.modules


def job_lines(program: str, directory: str, ends: t.List[str]) -> str:
    """Shell lines for the job that check the node, and write the results into the file ``doctor`` of the session's directory.

    Args:
        program: what starts pvserver.
        directory: the session's.
        ends: endpoints (``ADDRESS:PORT``) for the node to connect to.
    """
    blanks = {"PROGRAM": quoted([program]), "DIRECTORY": shlex.quote(directory), "ENDS": " ".join(shlex.quote(one) for one in ends) or '""'}
    return programs.filled("doctor", "node.sh", {}, blanks)


def site_values(facts: t.Dict[str, t.Any], version: str) -> t.List[Check]:
    """Checks of what the site asks of its users in site.yml.

    Args:
        facts: as facts.facts_of() returns them. version: of this collection.
    """
    login = facts["login_node"]
    checks = [warning(_LOGIN, "site.yml", fault, "site", "correct it in {0} of {1}; connect ignores it".format(site_file.PATH, login))
              for fault in facts["site_faults"]]
    try:
        site_policy.admit(facts["site"], login, version)
    except SessionError as error:
        checks.append(failed(_LOGIN, "admission", error.why, "site" if facts["site"].get("closed") else "you", error.way_out, error.what))
    return checks


def read_job(text: str, node: str, login: str, program: str) -> t.List[Check]:
    """Checks from the job's results."""
    checks = []
    for line in text.splitlines():
        word, _blank, rest = one_line(line).partition(" ")
        if word == "pvserver":
            checks.append(ok(_NODE, "pvserver", rest) if rest else failed(
                _NODE, "pvserver", "{0} is not on the PATH of a job on {1}".format(program, node), "you",
                "set paraview_modules (module avail paraview), or give the full path in paraview_pvserver"))
        elif word == "missing":
            checks.append(failed(_NODE, "libraries", "{0} is not found on {1}".format(rest, node), "you",
                                 "load the module that has it, with paraview_modules or paraview_setup"))
        elif word == "display" and rest == "no":
            checks.append(unsure(_NODE, "display", "there is no display on {0}; a pvserver that needs one cannot start".format(node)))
        elif word == "dial" and rest:
            end, _blank, answer = rest.rpartition(" ")
            if answer == "yes":
                checks.append(ok(_TO_NODES, "node to login node", "{0} reaches {1}".format(node, end)))
            else:
                checks.append(failed(_TO_NODES, "node to login node", "{0} does not reach {1} of {2}".format(node, end, login), "site",
                                     "let nodes reach the ports of {0}, or use a forward route".format(login)))
    return checks
