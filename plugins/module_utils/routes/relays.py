# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes through a relay on the login node."""

import shlex
import typing as t

from ..cluster.login_node import LoginNode
from ..common import listeners
from ..common.text import one_line
from ..ssh.master import ForwardRefused
from .context import RouteContext, require_local_client
from .tunnels import ReverseRoute
from .unavailable import RouteUnavailable
from .user_relay import LOST, UserRelay

# systemd.exec(5), DynamicUser: the uids of accounts that exist only while their service runs.
_DYNAMIC_USERS = range(61184, 65520)
_REACH = """import socket, sys
s = socket.socket(); s.settimeout(4)
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
except ConnectionRefusedError:
    pass
except OSError as error:
    print(error)
"""


def site_relay_fault(login_node: LoginNode, site: t.Dict[str, t.Any], port: int) -> str:
    """Why a connection to a port of the site's relay would not reach that relay; empty if it would.

    Args:
        login_node: the login node.
        site: the value of ``relay`` in site.yml. If it names no user, which that of an older role does not, any account of a service may listen.
        port: the port.
    """
    where = "{0}:{1} of {2}".format(site["address"], port, login_node.name)
    hits = listeners.covering(login_node.listeners(), site["address"], port)
    if not hits:
        return "the relay of {0} does not listen on {1}:{2}".format(login_node.name, site["address"], port)
    uids = [hit.uid for hit in hits if hit.address == hits[0].address]
    if "user" not in site:
        others = [uid for uid in uids if uid >= 1000 and uid not in _DYNAMIC_USERS]
        return "{0} belongs to another account (uid {1}), not to a service".format(where, others[0]) if others else ""
    expected = login_node.uid_of(site["user"])
    if expected is None:
        return "the relay of {0} runs as the account {1} (site.yml), which {0} does not know".format(login_node.name, site["user"])
    others = [uid for uid in uids if uid != expected]
    return "{0} belongs to another account (uid {1}) than the relay's, {2} (uid {3})".format(where, others[0], site["user"], expected) if others else ""


class _OverUserRelay(ReverseRoute):
    """pvserver → login node:Q, where the user's own relay forwards the connection."""

    def __init__(self, context: RouteContext, saved: t.Optional[dict] = None) -> None:
        super().__init__(context, saved)
        self.relay = UserRelay(context, self.saved.setdefault("relay", {}))

    @property
    def client_may_be_late(self) -> bool:
        """The relay holds pvserver until the client listens."""
        return self.relay.holds

    @property
    def note(self) -> str:
        """A warning for the user; empty for none."""
        kind = self.relay.saved.get("kind")
        lost = "{0} has no Python for the relay, {1} is used instead: {2}".format(self.context.login_node.name, kind, LOST[kind]) if kind in LOST else ""
        return "; ".join(filter(None, (super().note, lost)))

    def remove(self) -> None:
        super().remove()
        self.relay.stop()

    def ready_for(self, node: str) -> None:
        """Sets up relay and forward and checks them; raises RouteUnavailable."""
        self._check_allowed()
        address = self.context.cluster_address(node)
        sources = self.context.sources(node)
        is_up = self.port and address == self.address and self._is_up(sources)
        if not is_up:
            self.remove()
        try:
            if not is_up:
                self.address = address
                target = self._target_for_relay(self.relay.begin())
                self.saved["target"] = target
                self.port = self.relay.start(address, self.context.options["login_ports"], target, sources)
            self.context.check_listener(self.address, self.port)
            self._check_target()
        except RouteUnavailable:
            self.remove()
            raise

    def _target_for_relay(self, directory: str) -> str:
        """The relay's target: ADDRESS:PORT or unix:PATH; raises RouteUnavailable. directory is the relay's own, on the login node."""
        raise NotImplementedError(self.name)

    def _check_target(self) -> None:
        """Checks that the relay's target belongs to the user; raises RouteUnavailable."""
        raise NotImplementedError(self.name)

    def _check_allowed(self) -> None:
        if not self.context.options["user_relay"]:
            raise RouteUnavailable("{0} offers no relay, and your own relay is started only if you set paraview_user_relay to true".format(
                self.context.login_node.name))

    def _is_up(self, sources: t.List[str]) -> bool:
        return self.context.login_node.has(self.address, self.port) and (self.relay.holds or self.relay.saved.get("sources") == sources)

    def let_through(self, node: str) -> None:
        """Checks that the client's port belongs to the user, then has the relay let pvserver's connection through to it."""
        self.check_client()
        self.context.check_listener(self.address, self.port)
        self._check_target()
        self.relay.allow(self.context.sources(node))


class ReverseTunnelRelay(_OverUserRelay):
    """pvserver → login node:Q, relay → loopback or a unix socket ⇒ ssh -R ⇒ client:P."""

    name = "reverse_tunnel_relay"
    section = "Reverse Connection over a Reverse ssh Tunnel with portfwd"

    @property
    def client_may_be_late(self) -> bool:
        # The site's relay connects only to a listener of a user who has a job on the calling node. So the forward and the client behind it must exist first.
        return not self._site() and self.relay.holds

    def ready_for(self, node: str) -> None:
        """Sets up relay and forward and checks them; raises RouteUnavailable."""
        site = self._site()
        if not site:
            super().ready_for(node)
            return
        try:
            self._over_site_relay(site)
        except RouteUnavailable:
            self.remove()
            raise

    def _site(self) -> t.Dict[str, t.Any]:
        return self.context.facts["site"].get("relay") or {}

    def _over_site_relay(self, site: t.Dict[str, t.Any]) -> None:
        if not (self.port and self.address == site["address"] and self.context.login_node.has("127.0.0.1", self.port)):
            self.remove()
            self.port = self.context.remote_forward("127.0.0.1", site["ports"], self.target)
            self.address = site["address"]
        self.context.check_listener("127.0.0.1", self.port)
        fault = site_relay_fault(self.context.login_node, site, self.port)
        if fault:
            raise RouteUnavailable(fault)

    def _target_for_relay(self, directory: str) -> str:
        """A forward to the client: a unix socket that only the user can open, or a loopback port if sshd allows no sockets."""
        target, path = self.target, directory + "/client"
        try:
            self.context.forward("-R", "{0}:{1}".format(path, target))
            return "unix:" + path
        except ForwardRefused:
            return "127.0.0.1:{0}".format(self.context.remote_forward("127.0.0.1", "", target))

    def _check_target(self) -> None:
        kind, _colon, rest = self.saved["target"].partition(":")
        if kind != "unix":
            self.context.check_listener("127.0.0.1", int(rest))
            return
        fields = self.context.login_node.run("ls -ldn {0}".format(shlex.quote(rest)), 15)[1].split()
        if len(fields) < 3 or not fields[0].startswith("srw-------") or fields[2] != str(self.context.login_node.uid):
            raise RouteUnavailable("sshd on {0} did not create the socket {1} for your account alone".format(self.context.login_node.name, rest))


class ReverseRelay(_OverUserRelay):
    """pvserver → login node:Q, the user's own relay → client host:P; nothing is encrypted."""

    name = "reverse_relay_unencrypted"
    section = "Reverse Connection with portfwd"

    def _check_allowed(self) -> None:
        super()._check_allowed()
        require_local_client(self.context)

    def _target_for_relay(self, _directory: str) -> str:
        host = self.context.facts.get("client_address", "")
        if not host:
            raise RouteUnavailable("{0} does not report the source address of the ssh connection".format(self.context.login_node.name))
        if self.relay.holds:
            words = [self.relay.saved["program"], "-ISc", _REACH, host, str(self.saved["client_port"])]
            error = self.context.login_node.run(" ".join(shlex.quote(word) for word in words), 15)[1].strip()
            if error:
                raise RouteUnavailable("{0} cannot reach this machine at {1}:{2} ({3})".format(
                    self.context.login_node.name, host, self.saved["client_port"], one_line(error, 200)))
        return "{0}:{1}".format(host, self.saved["client_port"])

    def _check_target(self) -> None:
        """The target is on the client host, and check_client() checks it."""
