# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets up, checks and removes one ssh forward; documented in plugins/modules/ssh_forward.py."""

import os

from ansible_collections.sciviz.paraview.plugins.module_utils.common import listeners as endpoints
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.master import ForwardRefused
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction


class ActionModule(SessionAction):
    SPEC = {
        "direction": {"type": "str", "required": True, "choices": ["local", "remote"]},
        "listen_address": {"type": "str", "default": "127.0.0.1"},
        "listen_port": {"type": "int", "default": 0},
        "to_host": {"type": "str", "default": "127.0.0.1"},
        "to_port": {"type": "int", "required": True},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    }

    def act(self, arguments):
        record = self.session.read()
        channel, master = self.channel(), self.master()
        remote = arguments["direction"] == "remote"
        option = "-R" if remote else "-L"
        forwards = record.forwards
        existing = next((one for one in forwards if one[0] == option and self._same(one[1], arguments)), None)
        if arguments["state"] == "absent":
            if existing and not self._task.check_mode:
                master.cancel(*existing)
                self.session.update(forwards=[one for one in forwards if one != existing])
            return {"changed": bool(existing)}
        if self._task.check_mode:
            return {"changed": not existing, "listen_port": arguments["listen_port"]}
        if existing:
            specification, port = existing[1], (master.forward(*existing) if remote else 0) or int(existing[1].split(":")[1])
        else:
            specification, port = self._set_up(master, option, arguments)
        try:
            self._check_listener(channel, remote, arguments["listen_address"], port)
        except SessionError:
            master.cancel(option, specification)
            raise
        self.session.update(forwards=[one for one in forwards if one != existing] + [[option, specification]])
        return {"changed": not existing, "listen_port": port}

    @staticmethod
    def _check_listener(channel, remote, address, port):
        """Raises SessionError unless the requested endpoint exists and is ours."""
        if remote:
            listeners, uid = endpoints.parse(channel.script(endpoints.SCRIPT, 15)[1]), int(channel.script("id -u", 15)[1])
        else:
            listeners, uid = endpoints.local(), os.getuid()
        if listeners is None:
            return
        fault = endpoints.fault(listeners, address, port, uid, "the login node" if remote else "this machine")
        if fault:
            raise SessionError("the forward on {0}:{1} does not listen there".format(address, port), fault,
                               "set GatewayPorts clientspecified on the login node, or choose another listen_port" if remote else
                               "choose another listen_address or listen_port")

    @staticmethod
    def _set_up(master, option, arguments):
        port = arguments["listen_port"] or (endpoints.free_port() if option == "-L" else 0)
        specification = "{listen_address}:{0}:{to_host}:{to_port}".format(port, **arguments)
        try:
            return specification, master.forward(option, specification) or port
        except ForwardRefused as refused:
            raise SessionError("the forward {0} {1} was refused".format(option, specification), str(refused),
                               "choose another port, or check AllowTcpForwarding and PermitListen of the login node's sshd")

    @staticmethod
    def _same(specification, arguments):
        address, port, rest = specification.split(":", 2)
        return (address == arguments["listen_address"] and rest == "{to_host}:{to_port}".format(**arguments)
                and arguments["listen_port"] in (0, int(port)))
