# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions on a session have in common."""

from __future__ import annotations


class ModuleDocFragment:
    # The options that every action of the collection takes
    DOCUMENTATION = r"""
options:
  name:
    description:
      - Name of the session. Its record is found by it, and the lines shown begin with it.
      - By default the name of the inventory host.
    type: str
  state_dir:
    description:
      - Directory of the session records. Only its owner may enter it.
      - By default C(paraview-connect) below E(XDG_STATE_HOME), and where that is not set, below C(~/.local/state).
    type: str
    default: ""
"""

    # What is true of every step of a session
    STEP = r"""
options: {}
notes:
  - This is one step of a session that M(sciviz.paraview.session) began. The role P(sciviz.paraview.connect#role) has all of them in their order.
  - A session that is not handed over by M(sciviz.paraview.paraview_client) is undone when the playbook that began it ends,
    and at once when one of its steps fails.
"""

    # What describes a session: the variables that begin with paraview_
    SETTINGS = r"""
options:
  client_host:
    description:
      - Another host of the inventory, on which ParaView runs. The playbook logs in there as the inventory says, and the tunnel goes on to it. By default
        ParaView runs on this machine.
      - The routes without a tunnel (V(reverse_unencrypted), V(forward_unencrypted), V(reverse_relay_unencrypted)) lead to this machine alone.
    type: str
    default: ""
  client_port:
    description:
      - Port of the client host that ParaView uses. On a forward route it is the local end of the tunnel, on a reverse route the port that
        ParaView listens on.
      - V(0) takes a free one.
    type: int
    default: 0
  reconnect_port:
    description:
      - Port of this machine that the cluster calls on the routes V(reverse_unencrypted) and V(reverse_relay_unencrypted) if O(reconnect) is true. The
        network has to leave it open.
      - V(0) takes a free one. If O(client_port) is set and this is not, the session is not reconnected on these routes, since that may be the only open
        port.
    type: int
    default: 0
  client_process:
    description:
      - Number of a process of this machine, which is the ParaView that the session is for. Where it ends before it is connected, the session ends.
      - V(0) is none.
    type: int
    default: 0
  client_program:
    description:
      - The ParaView of the client host that the session is for, as the name of a program on its C(PATH), or as a full path. A path may begin with C(~/), and
        may lead to a bundle of macOS (C(/Applications/ParaView-5.13.2.app)) or to the directory of an installation. Nothing else in it has a meaning.
      - By default ParaViews are looked for on the C(PATH) and where they are usually installed, and the one that goes with pvserver is taken. The first
        one on the C(PATH) is preferred.
      - It decides which version pvserver has to have, and what O(start_client=true) starts.
    type: str
    default: ""
  client_version:
    description:
      - Version of a ParaView that runs already and asks for the session, such as V(5.13.2). Then none is looked for. An entry of the Connect dialog sets it.
    type: str
    default: ""
  login_ports:
    description:
      - Ports of the login node that a remote forward may take, such as V(11111-11120) or a single one, where a firewall or the
        PermitListen of its sshd leaves only some.
      - By default sshd chooses.
    type: str
    default: ""
  server_ports:
    description:
      - Ports of the root node that pvserver may listen on, such as V(11111-11120) or a single one, where a firewall leaves only some.
        The job takes one that is free there.
      - By default those that the site publishes, else any.
    type: str
    default: ""
  route:
    description:
      - The way for the bytes between ParaView and pvserver.
      - V(auto) takes the first of O(route_order) that works, and says why it passed over the others.
      - V(node_tunnel) has ParaView call a local port that ssh, through the login node, leads to the root node and its pvserver. The node's sshd has to let you
        in while your job runs there, and the login node has to know its host key. Everything is encrypted up to the node.
      - V(node_tunnel_reverse) is the other direction, in which pvserver calls a port of its own node's loopback.
      - V(forward_tunnel) has ParaView call a local port that ssh leads to pvserver. sshd has to allow local forwarding, and the login node
        has to reach the port of the root node.
      - V(reverse_tunnel) has pvserver call a port of the login node that ssh leads to ParaView. sshd has to bind remote forwards on the side
        of the cluster (GatewayPorts).
      - V(reverse_tunnel_relay) has pvserver call a relay on the login node, and ssh leads from there to ParaView. sshd has to allow remote forwarding to
        loopback or to a unix socket. Where the site offers no relay, one of your own is started (O(user_relay)).
      - V(reverse_relay_unencrypted) has pvserver call a relay of your own on the login node, which calls ParaView on this machine. The login node has to reach
        this machine. It is taken only by name, since what goes over the network is B(not encrypted).
      - V(reverse_unencrypted) has pvserver call ParaView on this machine, and V(forward_unencrypted) has ParaView call pvserver on its node, without any
        tunnel. They are taken only by
        name, and B(not encrypted).
      - A named route that cannot work is an error.
    type: str
    choices: [auto, node_tunnel, node_tunnel_reverse, forward_tunnel, reverse_tunnel, reverse_tunnel_relay, reverse_relay_unencrypted, reverse_unencrypted,
              forward_unencrypted]
    default: auto
  route_order:
    description:
      - The routes that V(auto) tries, in this order. One that is left out is not tried.
    type: list
    elements: str
    choices: [node_tunnel, node_tunnel_reverse, forward_tunnel, reverse_tunnel, reverse_tunnel_relay]
    default: [node_tunnel, node_tunnel_reverse, forward_tunnel, reverse_tunnel, reverse_tunnel_relay]
  reconnect:
    description:
      - Whether a session outlives its connection. One program beside pvserver and one beside ParaView keep what is on its way. If the connection is
        lost, it is restored as soon as the network is there, and ParaView has seen a pause.
      - It needs Python 3.6 or newer on the root node, or ParaView's own. Where that is not there, with O(client_host), on the routes V(reverse_unencrypted) and
        V(reverse_relay_unencrypted), with O(job_id), and for a pvserver that serves several clients, the session goes on without, and says so.
    type: bool
    default: true
  reconnect_timeout:
    description:
      - How long the connection may be lost. Then pvserver ends, and the job with it.
      - It is written like O(walltime).
    type: raw
    default: 1h
  user_relay:
    description:
      - Whether V(auto) may start a relay of your own on the login node, for V(reverse_tunnel_relay) where the site offers none. It listens on one port for
        this session, takes connections from the nodes of the job alone, and ends with the connection to the login node.
      - Sites may have rules on programs that listen on their login nodes. So this is never done unless you say so, or name a route that needs it.
    type: bool
    default: false
  scheduler:
    description:
      - The batch system. It is V(auto), V(slurm), V(pbs) (PBS Pro, OpenPBS), V(sge) (Grid Engine), V(torque), V(lsf), V(flux), V(none), or one that
        O(schedulers) describes.
      - V(auto) takes the one that the site names in its C(site.yml), else the first whose commands on the login node answer as that system's do. It never
        takes V(none).
      - V(none) runs pvserver as a process on the login node itself, for a visualization server without a batch system. It is refused where
        there is a batch system, unless the site allows it.
    type: str
    default: auto
  schedulers:
    description:
      - Tables of batch systems that this host has besides those that are shipped, or entries in which its own differs, by the name of the batch system.
      - A table says how jobs are submitted, asked and cancelled, and what the answers mean. The guide C(Batch systems) tells what may stand in it,
        and how to try one without a cluster.
    type: dict
    default: {}
  job_id:
    description:
      - A job of yours that runs already, as after C(salloc) or C(qsub -I). pvserver is started in it, and nothing is submitted. The session ends with
        the job or with pvserver, and never cancels the job.
      - O(nodes) and O(tasks_per_node) say how much of it pvserver takes.
    type: str
    default: ""
  nodes:
    description:
      - Number of nodes.
    type: int
    default: 1
  tasks_per_node:
    description:
      - Number of pvserver's processes on each node.
    type: int
    default: 1
  cpus_per_task:
    description:
      - Number of cores for each process. V(0) leaves it to the batch system.
    type: int
    default: 0
  gpus_per_node:
    description:
      - Number of GPUs on each node. V(0) asks for none.
    type: int
    default: 0
  memory:
    description:
      - Memory on each node, such as V(4G) or V(500M). By default it is left to the batch system.
    type: str
    default: ""
  walltime:
    description:
      - How long the job may run. Where pvserver knows how to (from 5.10), it tells the client how much of it is left, and ParaView warns before the end.
      - Write it as V(90s), V(15m), V(2h), V(1d), V(1:30:00) (H:MM:SS) or V(2-00:00:00) (D-HH:MM:SS).
      - Put quotes around a time with colons. YAML reads an unquoted C(1:00:00) as the number 3600, and C(20:00) as 1200. A number without a unit
        is refused.
    type: raw
    default: "1:00:00"
  queue:
    description:
      - Queue, or partition as Slurm calls it. By default the one that the site publishes, else the batch system's own default.
    type: str
    default: ""
  account:
    description:
      - Account or project that pays for the job.
    type: str
    default: ""
  qos:
    description:
      - Quality of service. Not every batch system has it.
    type: str
    default: ""
  reservation:
    description:
      - Reservation in which the job runs. PBS has a queue for each.
    type: str
    default: ""
  constraint:
    description:
      - What the nodes have to be like, in the batch system's own words, such as V(gpu) or V(gpu&highmem).
    type: str
    default: ""
  exclusive:
    description:
      - Whether the job has its nodes to itself.
    type: bool
    default: false
  parallel_environment:
    description:
      - Grid Engine's parallel environment, which a job of more than one core needs there. It decides how many of the slots each node gives.
    type: str
    default: ""
  directives:
    description:
      - More lines for the head of the job script, such as V(--comment=viz). The batch system's prefix (C(#SBATCH)) may be left out.
    type: list
    elements: str
    default: []
  modules:
    description:
      - Environment modules that the job loads before pvserver. By default those that the site publishes.
      - V(auto) searches the modules that the site publishes (C(pvserver_versions)) and those that C(module avail) and Lmod's C(module spider) list. It takes
        one whose pvserver goes with ParaView here, and asks that pvserver for its version. If none fits, the error lists what there is.
      - Modules before V(auto) in the list are loaded before the search, as in V([gcc/12.2, auto]).
    type: list
    elements: str
    default: []
  setup:
    description:
      - Shell lines that the job runs before pvserver, after the modules are loaded. They run in bash where the node has it, else in its
        C(/bin/sh).
    type: str
    default: ""
  mpi_launcher:
    description:
      - What starts pvserver's processes. It is V(srun), V(mpiexec), V(mpirun), V(aprun), V(flux), V(none) (pvserver is started by itself), or a
        command, as text or as a list of words.
      - In a command C({nodes}), C({tasks}), C({per_node}) and C({cpus_per_task}) stand for the number of nodes, of all processes, of processes on
        each node, and of cores for each process.
      - By default a single process has none, and more have the batch system's own.
    type: raw
    default: ""
  pvserver:
    description:
      - The pvserver command with its arguments, as text or as a list of words. A wrapper may stand in front, as in
        V(xvfb-run -a -s -noreset pvserver).
      - Port, host and connect-id are added at its end.
    type: raw
    default: pvserver
  rendering:
    description:
      - What pvserver draws through. The job finds out on its node what pvserver was built for, since login nodes and nodes differ.
      - V(auto) leaves it to pvserver. One that draws through a display alone (a ParaView before 6 without EGL and OSMesa) gets a display of its own by
        C(xvfb-run) where its node has none; a line says so. Nothing is changed where something stands in front of pvserver in O(pvserver).
      - V(egl), V(osmesa) and V(glx) ask for one of them. It is an error before pvserver starts if it was not built for that, if its library is not there, or,
        with V(glx), if no display answers.
      - V(xvfb) puts C(xvfb-run -a -s -noreset) in front in any case. A display of that kind draws in software, also on a node with GPUs.
      - Where a node shows several GPUs to each of pvserver's processes, each draws with one of its own, unless E(VTK_DEFAULT_EGL_DEVICE_INDEX) is set.
    type: str
    choices: [auto, glx, egl, osmesa, xvfb]
    default: auto
  queue_timeout:
    description:
      - How long the job may wait in the queue, counted from its submission. Then it is cancelled.
      - It is written like O(walltime).
    type: raw
    default: 24h
  client_timeout:
    description:
      - How long a started job waits for its client. Then it ends by itself.
      - It is written like O(walltime).
    type: raw
    default: 20m
  detach:
    description:
      - Whether to come back as soon as the job is queued. Connect again once it runs, within O(client_timeout).
    type: bool
    default: false
  connect_id:
    description:
      - A number from 1 to 2147483647 that ParaView and pvserver have to agree on, or V(random). V(0) is none.
      - On a forward route pvserver checks it, so that another account which reaches the port of pvserver is turned away.
      - On a reverse route it does not tell who the client is. pvserver shows it and believes whoever answers. What protects there is that
        nobody else holds the port that pvserver calls, and that is looked at right before pvserver starts.
      - It is no key. It stands on the command lines of pvserver and of the client, where other accounts of those hosts may see it.
    type: raw
    default: random
  start_client:
    description:
      - V(true) starts ParaView (O(client_program)) on the client host, which connects by itself and asks nothing. V(false) says what to start.
      - The path of a C(paraview), with no word behind it, does the same with that one.
      - If that ParaView has no Python, it asks its user to press OK.
      - A command, as text or as a list of words, is started without a shell. It finds E(PV_CONNECTION_URI), E(PV_SERVER_PORT) and
        E(PV_CONNECT_ID) in its environment.
      - What it prints goes into C(client.log) beside the session's record.
    type: raw
    default: false
  json:
    description:
      - File for a report in JSON, a list with one entry for each host, also after a failure. It is readable by its owner alone, since it
        holds the connect-id. Its directory has to exist.
    type: str
    default: ""
"""
