#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: sshd_forwarding
short_description: Set a forwarding policy of sshd, proved before the daemon sees it
version_added: 0.1.0
description:
  - Sets what sshd lets its users forward, for everybody or under a C(Match), beside whatever else manages sshd. No line of others is
    changed.
  - The policy becomes a drop-in where the main file includes a directory and the drop-in wins there, else a marked block in the main
    file. Of the places that do, the first is taken.
  - Before anything is touched, sshd itself is shown a copy of the whole configuration (C(sshd -t), and C(sshd -T -C) for each connection
    of O(verify)). Every value asked for has to be there, and every other value has to be what it was. Where no place does, the module
    fails, names the file and line in the way, and changes nothing.
  - The files are then replaced one by one, each in one step. The service is reloaded, never restarted, so that sessions live on, and has
    to greet a new connection. If anything of it fails, the old files and the old configuration of the daemon come back.
  - A policy never overrides another policy of this module.
extends_documentation_fragment:
  - sciviz.paraview.attributes.host
  - sciviz.paraview.sshd
attributes:
  check_mode:
    support: full
    details:
      - The proof is done in check mode as well.
  diff_mode:
    support: full
options:
  name:
    description:
      - The policy's name, so that several can live side by side. It becomes part of a file name.
    type: str
    default: forwarding
  state:
    description:
      - V(absent) takes the policy of that O(name) away, to the byte.
    type: str
    choices: [present, absent]
    default: present
  match:
    description:
      - For whom the policy is. A dictionary of one or several of V(User), V(Group), V(Host), V(LocalAddress), V(LocalPort), V(Address),
        V(RDomain), each with a value or a list of values. All of them have to fit.
      - By default the policy is global.
    type: dict
    default: {}
  allow_tcp_forwarding:
    description:
      - V(no), V(yes), V(local) or V(remote). Booleans are taken too.
    type: str
  gateway_ports:
    description:
      - V(no), V(yes) or V(clientspecified). V(yes) makes every loopback forward of every user public; V(clientspecified) is what a
        reverse tunnel needs.
    type: str
  permit_listen:
    description:
      - Addresses and ports that a remote forward may listen on, such as V(127.0.0.1:*), or V(any) or V(none). sshd compares them as
        text, so V(localhost:*) and V(127.0.0.1:*) are two things.
    type: list
    elements: str
  permit_open:
    description:
      - Hosts and ports that a local forward may reach, such as V(c101:*), or V(any) or V(none).
    type: list
    elements: str
  allow_stream_local_forwarding:
    description:
      - Whether unix sockets may be forwarded. V(no), V(yes), V(local) or V(remote).
    type: str
  stream_local_bind_unlink:
    description:
      - Whether sshd removes a unix socket that is in the way of a remote forward.
    type: str
  stream_local_bind_mask:
    description:
      - The mask for the mode of unix sockets, such as V("0177").
    type: str
  disable_forwarding:
    description:
      - Whether all forwarding is off, whatever else is said.
    type: str
  verify:
    description:
      - Connections to try. Those that the policy is for must have its values, all others must keep theirs, and every one has to have what
        its C(must) and C(must_not) say.
      - By default they are derived from O(match), one that it is for, such as a member of the group, and one beside it for each
        criterion.
    type: list
    elements: dict
    default: []
    suboptions:
      user:
        description: The user.
        type: str
        default: nobody
      host:
        description: The name that the client's address resolves to.
        type: str
        default: host.example
      addr:
        description: The client's address.
        type: str
        default: 192.0.2.1
      laddr:
        description: The address that the client reached.
        type: str
        default: 127.0.0.1
      lport:
        description: The port that the client reached.
        type: int
        default: 22
      rdomain:
        description: The routing domain of the connection.
        type: str
        default: ""
      must:
        description: Values that it must have, by the names of this module's options.
        type: dict
        default: {}
      must_not:
        description: Values that it must not have, by the names of this module's options.
        type: dict
        default: {}
  override:
    description:
      - Whether lines of others that say otherwise may be overridden. They are reported in RV(overrides). With V(false) the module fails
        instead, and names them.
    type: bool
    default: true
  reload:
    description:
      - Whether the service reads the new configuration at once.
    type: bool
    default: true
  backup:
    description:
      - Whether to keep a copy of each file that changes beside it.
    type: bool
    default: false
  confirm:
    description:
      - Seconds after which the host puts the old files back by itself, unless M(sciviz.paraview.sshd_forwarding_confirm) was run over a
        new login by then; at least V(5). V(0) for no such timer.
    type: int
    default: 0
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.sshd_forwarding_info
  - module: sciviz.paraview.sshd_forwarding_confirm
  - module: sciviz.paraview.forwarding_check
"""

EXAMPLES = r"""
- name: Let the members of viz open tunnels to the compute nodes
  sciviz.paraview.sshd_forwarding:
    name: viz
    match:
      Group: viz
    allow_tcp_forwarding: local
    permit_open: ["c101:*", "c102:*"]

- name: Let them listen on the cluster's network as well, from inside alone
  sciviz.paraview.sshd_forwarding:
    name: viz-reverse
    match:
      Group: viz
      Address: [198.18.0.0/15]
    gateway_ports: clientspecified
    permit_listen: ["198.18.2.1:*", "127.0.0.1:*", "localhost:*"]
    verify:
      - user: alice
        addr: 198.18.1.10
      - user: bob
        addr: 198.18.1.10
        must_not:
          gateway_ports: clientspecified

- name: Take it away
  sciviz.paraview.sshd_forwarding:
    name: viz-reverse
    state: absent
"""

RETURN = r"""
place:
  description: Where the policy stands; empty if it is absent.
  returned: success
  type: str
  sample: drop-in /etc/ssh/sshd_config.d/00-sciviz-paraview-viz.conf
files:
  description: The files that changed.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
      sample: /etc/ssh/sshd_config.d/00-sciviz-paraview-viz.conf
    action:
      description: What happened to it, V(created), V(changed) or V(removed).
      type: str
      sample: created
    backup_file:
      description: Its copy, where there is one.
      type: str
      sample: /etc/ssh/sshd_config.2026-11-22@10:00:00~
connections:
  description: The connections that were tried, and sshd's forwarding policy for each.
  returned: success
  type: list
  elements: dict
  contains:
    connection:
      description: The connection as C(sshd -T -C) takes it.
      type: str
      sample: user=alice,host=host.example,addr=192.0.2.1,laddr=127.0.0.1,lport=22
    about:
      description: Why it was tried.
      type: str
      sample: alice (who it is for)
    before:
      description: The values before.
      type: dict
      sample: {allow_tcp_forwarding: "yes"}
    after:
      description: The values after.
      type: dict
      sample: {allow_tcp_forwarding: "local"}
    origins:
      description: Where the values after come from, by the same names; sshd's own defaults are left out.
      type: dict
      sample: {allow_tcp_forwarding: "/etc/ssh/sshd_config.d/00-sciviz-paraview-viz.conf:3"}
overrides:
  description: Lines of others that say otherwise and do not count any more for those connections.
  returned: success
  type: list
  elements: dict
  contains:
    file:
      description: The file.
      type: str
      sample: /etc/ssh/sshd_config.d/50-site.conf
    line:
      description: The number of the line.
      type: int
      sample: 3
    keyword:
      description: The keyword.
      type: str
      sample: AllowTcpForwarding
    value:
      description: The value there.
      type: str
      sample: "no"
    connections:
      description: The connections for which it counted before.
      type: list
      elements: str
      sample: ["user=alice,host=host.example,addr=192.0.2.1,laddr=127.0.0.1,lport=22"]
reloaded:
  description: Whether the service read its configuration anew.
  returned: success
  type: bool
  sample: true
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sciviz.paraview.plugins.module_utils.common import files
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import clean
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import apply, config, policy, rollback, samples
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import planner as sshd_plan
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import program as sshd

_LISTS = ("permit_listen", "permit_open")
SPEC = dict(
    name={"type": "str", "default": "forwarding"},
    state={"type": "str", "choices": ["present", "absent"], "default": "present"},
    match={"type": "dict", "default": {}},
    verify={"type": "list", "elements": "dict", "default": [],
            "options": dict(samples.FIELDS, must={"type": "dict", "default": {}}, must_not={"type": "dict", "default": {}})},
    override={"type": "bool", "default": True}, reload={"type": "bool", "default": True}, backup={"type": "bool", "default": False},
    confirm={"type": "int", "default": 0},
    path={"type": "path", "default": "/etc/ssh/sshd_config"}, sshd={"type": "path"},
    **{option: {"type": "list", "elements": "str"} if option in _LISTS else {"type": "str"} for option in policy.KEYWORDS}
)


def main():
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        result = perform(module.params, module.check_mode, module.tmpdir)
    except SessionError as error:
        module.fail_json(msg=clean(str(error)))
    except OSError as error:
        module.fail_json(msg="cannot set the policy {0}\n{1}\nrun it as root".format(module.params["name"], clean(str(error))))
    for warning in result.pop("notes"):
        module.warn(warning)
    module.exit_json(**result)


def perform(options, check_mode, scratch):
    policy.check_name(options["name"])
    asked, match, verify = policy.policy(options), policy.criteria(options["match"]), samples.named(options["verify"])
    if options["state"] == "present" and not asked:
        raise SessionError("the policy {0} asks for nothing".format(options["name"]), "none of the keywords is set",
                           "set one of " + ", ".join(policy.KEYWORDS))
    if options["confirm"] and options["confirm"] < 5:
        raise SessionError("confirm: {0} s is too short".format(options["confirm"]), "nobody logs in so quickly", "take 5 s or more, or 0 for no timer")
    path, writable = apply.main_file(options["path"])
    daemon = sshd.Daemon()
    program, notes = apply.program_for(path, options["sshd"] or "", daemon, scratch)
    view = config.View()
    directory = os.path.dirname(view.real(path))
    armed = rollback.Rollback()
    with files.lock(directory):
        if not check_mode:
            armed.sweep(sshd.run)
            files.sweep({directory} | {os.path.dirname(one) for one in config.Tree(view, path).files})
        planner = sshd_plan.Planner(program, view, path, options["name"], writable)
        if options["state"] == "present":
            plan = planner.present(asked, match, verify, options["override"])
        else:
            plan = planner.absent(verify or planner.bystanders(match))
        tidy = planner.made_directories() if options["state"] == "absent" else []
        pending = apply.Pending(path)
        change = apply.Change(program, view, path, daemon if options["reload"] else None, pending)
        stale = options["reload"] and pending.there()
        old = {one: view.read(one) for one in plan.changes}
        if plan.changes and options["state"] == "present" and armed.armed and not options["confirm"]:
            raise SessionError("an earlier change waits for its confirmation", "the host would take this one back together with it",
                               "confirm that one first, or wait until it is taken back; nothing was changed")
        if (plan.changes or stale) and not check_mode:
            change.apply(plan, options["backup"], armed, options["confirm"], tidy)
        if armed.armed and not options["confirm"]:
            notes.append("an earlier change waits for its confirmation: without it the host takes back all that was changed since")
    changed = bool(plan.changes) or stale
    return {
        "changed": changed, "place": plan.place, "notes": notes + plan.warnings + change.warnings + (_overridden(plan) if plan.changes else []),
        "files": [_file(one, old[one], text, change.backups) for one, text in plan.changes.items()],
        "connections": sshd_plan.told(plan), "overrides": plan.overrides, "reloaded": changed and options["reload"] and not check_mode and not change.warnings,
        "diff": [_diff(one, old[one], text) for one, text in plan.changes.items()],
    }


def _overridden(plan):
    return ["the policy overrides {file}:{line} ({keyword} {value}) for {0}".format("; ".join(one["connections"]), **one) for one in plan.overrides]


def _file(path, old, new, backups):
    about = {"path": path, "action": "created" if old is None else "removed" if new is None else "changed"}
    if path in backups:
        about["backup_file"] = backups[path]
    return about


def _diff(path, old, new):
    shown = [(text or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace") for text in (old, new)]
    return {"before_header": path if old is not None else "/dev/null", "after_header": path if new is not None else "/dev/null",
            "before": shown[0], "after": shown[1]}


if __name__ == "__main__":
    main()
