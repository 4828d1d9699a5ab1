#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: server_config
short_description: An entry for a cluster in ParaView's Connect dialog
version_added: 0.1.0
description:
  - Adds an entry to a server configuration file of ParaView's (C(.pvsc)), or removes it. If a user chooses the entry in the Connect dialog, the dialog
    prompts for O(options), the playbook P(sciviz.paraview.connect#role) runs, and ParaView is connected.
  - With O(launcher), the entry runs ssh or plink instead, which starts the program C(paraview-launch) on a login node. ParaView's host then needs no Ansible.
  - All other entries stay unchanged, byte for byte. A malformed file is refused; the message names the line.
  - The user's choices are passed to the playbook by the environment, so that no shell interprets or splits them.
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
      - ParaView overwrites the user's own file when it ends. While a ParaView of its owner runs, this file is refused.
    type: path
    required: true
  name:
    description:
      - The entry's name in the dialog.
    type: str
    required: true
  state:
    description:
      - Whether the entry should exist.
    type: str
    choices: [present, absent]
    default: present
  host:
    description:
      - The playbook's variable C(host). By default the same as O(name).
    type: str
  reverse:
    description:
      - Whether pvserver connects to ParaView, which then listens while the playbook runs. Otherwise ParaView waits until the playbook has ended,
        then connects to pvserver; until then its window does not react.
    type: bool
    default: false
  routes:
    description:
      - The routes to try, in this order. All must have the direction that O(reverse) sets. By default those of that direction that C(auto) tries.
    type: list
    elements: str
    default: []
  command:
    description:
      - The full path of C(ansible-playbook), with arguments such as C(-i) and an inventory. By default the one that is found on the host, without arguments.
      - The words must not contain blanks or double quotes, since ParaView splits a command at them.
    type: list
    elements: str
  port:
    description:
      - Port of the user's machine. V(0) chooses a new one each time.
    type: int
    default: 0
  launcher:
    description:
      - The login node whose launcher the entry runs. C(paraview-launch reverse --help) lists the names for O(options) there, such as C(nodes), C(walltime)
        or C(tasks_per_node).
      - The dialog prompts for the user's name, too. If it is left empty, ssh on Linux and macOS uses the name from the user's own C(~/.ssh/config).
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
          - The initial value of the user's name in the dialog.
        type: str
        default: ""
      path:
        description:
          - The launcher on the login node.
        type: str
        default: /usr/local/bin/paraview-launch
      bind:
        description:
          - With O(reverse), the login node's address to which pvserver connects, if its sshd has GatewayPorts set to clientspecified. The default is for
            a login node with a relay.
        type: str
        default: 127.0.0.1
      ports:
        description:
          - Range from which a port is chosen. The same port is used on the user's machine and on the login node.
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
          - The program that logs in. C(plink) is PuTTY's. It cannot send an environment. The user's choices and the connect-id are therefore on its command
            line, which the login node's shell interprets; O(options) may only have the types V(int), V(bool) and V(choice).
        type: str
        choices: [ssh, plink]
        default: ssh
      ssh_path:
        description:
          - The client's full path. By default the path at which the system, Homebrew or PuTTY's installer installs it.
        type: str
      delay:
        description:
          - Seconds until ParaView connects, in a forward connection on Windows or with C(plink). The login must be complete by then; the job may still wait.
        type: int
        default: 15
  options:
    description:
      - The options that the user may set.
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
          - Its label in the dialog. By default its name.
        type: str
      type:
        description:
          - The type of its input field.
        type: str
        choices: [int, str, bool, choice, file]
        default: str
      default:
        description:
          - Its initial value.
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
          - The step of the dialog's arrow buttons.
        type: int
        default: 1
      choices:
        description:
          - The values to choose from.
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
              - The value's label in the dialog. By default the value.
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

- name: Offer it to users without Ansible
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

- name: Remove it again
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
  description: The program that each entry runs, by the entry's name. Empty if it runs none.
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


def new_content(module, configuration):
    """bytes: the file's new content."""
    options = module.params
    if not options["name"].strip():
        raise SessionError("name: {0!r} is not valid".format(options["name"]), "ParaView could not show it", "give the entry a name; nothing was changed")
    if options["state"] == "absent":
        return configuration.remove(options["name"])
    try:
        text = entry(module, options)
    except ValueError as error:
        raise SessionError("the entry {0!r} cannot be written".format(options["name"]), str(error), "leave that character out; nothing was changed")
    return configuration.put(options["name"], text)


def entry(module, options):
    """str: the entry's XML."""
    if options["launcher"]:
        return launcher_entry.entry(options["name"], options["launcher"], options["reverse"], options["options"], options["port"])
    command = options["command"] or [module.get_bin_path("ansible-playbook", required=True)]
    return connect_entry.entry(options["name"], options["host"] or options["name"], options["reverse"], command, options["options"], options["port"],
                               options["routes"])


def write(module, path, data):
    """Replaces the file atomically. All users can read a new file and its directories, as if ParaView had created them, whatever the umask."""
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
    """If root works in a user's home, it acts as that user, so that the user's links give no access that the user does not have.

    Args:
        path (str): the file, as given.
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
    """os.stat_result or None: of the first parent directory of a file, from the top, that root does not own."""
    directory = os.path.sep
    for name in os.path.abspath(path).split(os.path.sep)[1:-1]:
        directory = os.path.join(directory, name)
        try:
            about = os.lstat(directory)
        except OSError:
            return None
        if about.st_uid != 0:
            return about
    return None


def change(module):
    """dict: the module's result; raises SessionError, OSError."""
    # The target of a link is changed, and the link stays.
    path = module.params["path"] = os.path.realpath(module.params["path"])
    old = b""
    if os.path.exists(path):
        with open(path, "rb") as stream:
            old = stream.read()
    configuration = servers_file.Configuration(old, path)
    new = new_content(module, configuration)
    # If the file does not exist, there is no entry to remove.
    changed = new != configuration.data or (not old and module.params["state"] == "present")
    if changed:
        servers_file.refuse_while_it_runs(path)
    configuration = servers_file.Configuration(new if changed else old, path)
    if changed and not module.check_mode:
        write(module, path, new)
    shown = [one.decode("utf-8", "replace") for one in (old, new if changed else old)]
    if os.path.exists(path):
        changed = module.set_fs_attributes_if_different(module.load_file_common_arguments(module.params), changed)
    diff = {"before_header": path, "after_header": path, "before": shown[0], "after": shown[1]}
    return {"changed": changed, "names": configuration.names(), "commands": configuration.commands(), "diff": diff}


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
