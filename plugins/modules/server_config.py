#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: server_config
short_description: An entry for a cluster in ParaView's Connect dialog
version_added: 0.1.0
description:
  - Puts an entry into a server configuration file of ParaView's (C(.pvsc)), or takes it out. Whoever chooses it in the Connect dialog is asked for
    O(options), the playbook P(sciviz.paraview.connect#role) runs, and ParaView is connected.
  - With O(launcher) the entry runs ssh or plink instead, and the program C(paraview-launch) of a login node does the rest; there is no Ansible where
    ParaView runs.
  - Entries of others stay as they are, to the byte. A file that is malformed is refused, with the line.
  - Values that the user chooses reach the playbook by the environment, so that no shell and no word splitting gets to see them.
extends_documentation_fragment:
  - sciviz.paraview.attributes.host
  - ansible.builtin.files
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  path:
    description:
      - The file. ParaView reads C(/usr/share/ParaView/servers.pvsc) for all users of a machine, C(~/.config/ParaView/servers.pvsc) for one, and any file that
        C(paraview --servers-file) names.
      - ParaView writes the user's own file anew when it ends. Such a file is refused while a ParaView of its owner runs.
    type: path
    required: true
  name:
    description:
      - What the entry is called in the dialog.
    type: str
    required: true
  state:
    description:
      - Whether the entry shall be there.
    type: str
    choices: [present, absent]
    default: present
  host:
    description:
      - What C(host) is for the playbook. By default the same as O(name).
    type: str
  reverse:
    description:
      - Whether pvserver calls ParaView. ParaView then listens while the playbook runs. Otherwise ParaView waits until the playbook has ended,
        and calls pvserver; its window does not react meanwhile.
    type: bool
    default: false
  routes:
    description:
      - The routes to try, in their order, all of the direction that O(reverse) says. By default those of that direction that C(auto) tries.
    type: list
    elements: str
    default: []
  command:
    description:
      - C(ansible-playbook) by its full path, with arguments such as C(-i) and an inventory. By default the one that is found on the host, without arguments.
      - ParaView takes its words apart at blanks and double quotes, so there may be none in them.
    type: list
    elements: str
  port:
    description:
      - Port of the user's machine. V(0) is another one each time.
    type: int
    default: 0
  launcher:
    description:
      - The login node whose launcher the entry runs. O(options) are what C(paraview-launch reverse --help) lists there, such as C(nodes), C(walltime)
        or C(tasks_per_node).
      - The dialog asks for the name of the user, too. For ssh on Linux and macOS it may be left empty, which leaves it to the user's own C(~/.ssh/config).
      - A forward connection on Linux or macOS needs ParaView 5.11 or later.
    type: dict
    suboptions:
      login:
        description:
          - Host name of the login node.
        type: str
        required: true
      user:
        description:
          - What the dialog shows as the name of the user at first.
        type: str
        default: ""
      path:
        description:
          - The launcher on the login node.
        type: str
        default: /usr/local/bin/paraview-launch
      bind:
        description:
          - Address of the login node that pvserver calls with O(reverse), where its sshd has GatewayPorts set to clientspecified. The default goes with
            a relay.
        type: str
        default: 127.0.0.1
      ports:
        description:
          - Ports to choose from, the same one on the user's machine and on the login node.
        type: str
        default: 20000-32767
      system:
        description:
          - Where ParaView runs.
        type: str
        choices: [linux, macos, windows]
        default: linux
      client:
        description:
          - What logs in. C(plink) is PuTTY's. It can send no environment, so what the user chooses is on its command line, the connect-id too, and is seen
            by the login node's shell; O(options) may be of the types V(int), V(bool) and V(choice) only.
        type: str
        choices: [ssh, plink]
        default: ssh
      ssh_path:
        description:
          - The client's full path. By default where the system, Homebrew or PuTTY's installer puts it.
        type: str
      delay:
        description:
          - Seconds until ParaView calls, in a forward connection on Windows or with C(plink). The login has to be over by then; the job may still wait.
        type: int
        default: 15
  options:
    description:
      - What the user may choose.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - A variable of the role P(sciviz.paraview.connect#role), without C(paraview_).
        type: str
        required: true
      label:
        description:
          - What the dialog calls it. By default its name.
        type: str
      type:
        description:
          - How it is chosen.
        type: str
        choices: [int, str, bool, choice, file]
        default: str
      default:
        description:
          - What is chosen at first.
        type: str
      min:
        description:
          - The least number.
        type: int
        default: 0
      max:
        description:
          - The greatest number.
        type: int
        default: 2147483647
      step:
        description:
          - What the dialog's arrows add.
        type: int
        default: 1
      choices:
        description:
          - What there is to choose from.
        type: list
        elements: dict
        default: []
        suboptions:
          value:
            description:
              - The variable's value.
            type: str
            required: true
          label:
            description:
              - What the dialog shows. By default the value.
            type: str
author:
  - The sciviz.paraview developers (@sciviz)
"""

EXAMPLES = r"""
- name: Offer frontera to all users of this workstation
  sciviz.paraview.server_config:
    path: /usr/share/ParaView/servers.pvsc
    name: frontera
    command: [/opt/ansible/bin/ansible-playbook, -i, /etc/ansible/clusters.yml]
    options:
      - name: nodes
        label: Nodes
        type: int
        min: 1
        max: 64
        default: "1"
      - name: walltime
        label: Wall time
        type: choice
        default: "1:00:00"
        choices:
          - value: "1:00:00"
            label: an hour
          - value: "8:00:00"
            label: a day's work
      - name: account
        label: Account

- name: Offer it to those who have no Ansible
  sciviz.paraview.server_config:
    path: /srv/www/paraview/v5_13/win32/servers.pvsc
    name: frontera
    reverse: true
    launcher:
      login: login1.frontera.example.edu
      bind: 192.0.2.1
      system: windows
      client: plink
    options:
      - name: nodes
        label: Nodes
        type: int
        min: 1
        max: 64
        default: "1"

- name: Take it away again
  sciviz.paraview.server_config:
    path: /usr/share/ParaView/servers.pvsc
    name: frontera
    state: absent
"""

RETURN = r"""
names:
  description: The entries of the file, in their order.
  returned: success
  type: list
  elements: str
  sample: [frontera, workstation in the lab]
commands:
  description: The program that each of them runs, by its name. Empty where it runs none.
  returned: success
  type: dict
  sample: {frontera: /opt/paraview-connect/connect, workstation in the lab: ""}
"""

import contextlib
import os
import pwd
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import clean
from ansible_collections.sciviz.paraview.plugins.module_utils.dialog import connect_entry, launcher_entry
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import servers_file

CHOICE = {"value": {"type": "str", "required": True}, "label": {"type": "str"}}
OPTION = {
    "name": {"type": "str", "required": True}, "label": {"type": "str"}, "type": {"type": "str", "default": "str", "choices": list(connect_entry.KINDS)},
    "default": {"type": "str"}, "min": {"type": "int", "default": 0}, "max": {"type": "int", "default": 2147483647}, "step": {"type": "int", "default": 1},
    "choices": {"type": "list", "elements": "dict", "default": [], "options": CHOICE},
}
LAUNCHER = {
    "login": {"type": "str", "required": True}, "user": {"type": "str", "default": ""}, "path": {"type": "str", "default": launcher_entry.PATH},
    "bind": {"type": "str", "default": "127.0.0.1"}, "ports": {"type": "str", "default": "20000-32767"},
    "system": {"type": "str", "default": "linux", "choices": list(launcher_entry.SYSTEMS)},
    "client": {"type": "str", "default": "ssh", "choices": list(launcher_entry.CLIENTS)}, "ssh_path": {"type": "str"},
    "delay": {"type": "int", "default": launcher_entry.DELAY},
}
SPEC = {
    "path": {"type": "path", "required": True}, "name": {"type": "str", "required": True}, "host": {"type": "str"},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]}, "reverse": {"type": "bool", "default": False},
    "routes": {"type": "list", "elements": "str", "default": []}, "command": {"type": "list", "elements": "str"}, "port": {"type": "int", "default": 0},
    "launcher": {"type": "dict", "options": LAUNCHER},
    "options": {"type": "list", "elements": "dict", "default": [], "options": OPTION},
}


def wanted(module, known):
    """bytes: the file as it is to be."""
    options = module.params
    if not options["name"].strip():
        raise SessionError("name: {0!r} cannot be".format(options["name"]), "ParaView could not show it", "give the entry a name; nothing was changed")
    if options["state"] == "absent":
        return known.remove(options["name"])
    try:
        text = entry(module, options)
    except ValueError as error:
        raise SessionError("the entry {0!r} cannot be written".format(options["name"]), str(error), "leave that character out; nothing was changed")
    return known.put(options["name"], text)


def entry(module, options):
    """str: the entry's XML."""
    if options["launcher"]:
        return launcher_entry.entry(options["name"], options["launcher"], options["reverse"], options["options"], options["port"])
    command = options["command"] or [module.get_bin_path("ansible-playbook", required=True)]
    return connect_entry.entry(options["name"], options["host"] or options["name"], options["reverse"], command, options["options"], options["port"],
                               options["routes"])


def write(module, path, data):
    """Puts the new content in the file's place at once; what is new is for everybody to read, as ParaView makes it, whatever the umask."""
    mask = os.umask(0o022)
    temporary = None
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".servers-")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        module.atomic_move(temporary, path, unsafe_writes=module.params["unsafe_writes"])
    finally:
        os.umask(mask)
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


@contextlib.contextmanager
def acting_as_owner(path):
    """Root that works in somebody's home is that one there, so that no link of his leads further than he could go himself.

    Args:
        path (str): the file, as it was given.
    """
    owner = owner_of(path) if os.geteuid() == 0 else None
    if owner is None:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    try:
        account = pwd.getpwuid(owner.st_uid)
        os.initgroups(account.pw_name, account.pw_gid)
    except KeyError:
        os.setgroups([])
    try:
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def owner_of(path):
    """os.stat_result or None: of the first directory on the way to a file that is not root's."""
    place = os.path.sep
    for name in os.path.abspath(path).split(os.path.sep)[1:-1]:
        place = os.path.join(place, name)
        try:
            about = os.lstat(place)
        except OSError:
            return None
        if about.st_uid != 0:
            return about
    return None


def change(module):
    """dict: what the module returns; raises SessionError, OSError."""
    # A link stays a link.
    path = module.params["path"] = os.path.realpath(module.params["path"])
    old = b""
    if os.path.exists(path):
        with open(path, "rb") as stream:
            old = stream.read()
    known = servers_file.Configuration(old, path)
    new = wanted(module, known)
    # Of a file that is not there nothing has to be taken out.
    changed = new != known.data or (not old and module.params["state"] == "present")
    if changed:
        servers_file.refuse_while_it_runs(path)
    known = servers_file.Configuration(new if changed else old, path)
    if changed and not module.check_mode:
        write(module, path, new)
    shown = [one.decode("utf-8", "replace") for one in (old, new if changed else old)]
    if os.path.exists(path):
        changed = module.set_fs_attributes_if_different(module.load_file_common_arguments(module.params), changed)
    diff = {"before_header": path, "after_header": path, "before": shown[0], "after": shown[1]}
    return {"changed": changed, "names": known.names(), "commands": known.commands(), "diff": diff}


def main():
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True, add_file_common_args=True,
                           mutually_exclusive=[["launcher", "command"], ["launcher", "host"]])
    try:
        with acting_as_owner(module.params["path"]):
            result = change(module)
    except SessionError as error:
        module.fail_json(msg=clean(str(error)))
    except OSError as error:
        module.fail_json(msg="cannot write {0}\n{1}\nrun it as the file's owner, or as root".format(module.params["path"], clean(str(error))))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
