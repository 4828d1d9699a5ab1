#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: sshd_forwarding
short_description: Set a forwarding policy of sshd, tested before the daemon reads it
version_added: 0.1.0
description:
  - Sets what sshd lets its users forward, for everybody or under a C(Match). Other tools may manage sshd as well. The module changes none
    of their lines.
  - If the main file includes a directory, and a drop-in there takes effect, the policy is written to a drop-in. Otherwise a marked block in
    the main file has the policy, or includes a file that has it. The first place that works is used. Nothing is written to a directory that
    another program reads, such as C(/etc/ssh/ssh_config.d), even if sshd's configuration includes it.
  - Before the module changes anything, sshd itself reads a copy of the whole configuration (C(sshd -t), and C(sshd -T -C) for each
    connection of O(verify)). Every requested value must be in effect, and every other value must be as before. If no place works, the
    module fails, names the file and the line that prevent it, and changes nothing.
  - Then the files are replaced one by one, each in one step. The service is reloaded, never restarted, so open sessions continue. After
    that it must greet a new connection. If a step fails, the old files and the old configuration of the daemon are restored.
  - There can be several policies of this module. They can be set in any order, and each can be changed or removed alone. Where two of them
    set different values for one connection, the more specific one counts. One that names users comes before one for groups, that before one
    for addresses, and all of them before a global one. Then more criteria come before fewer, and fewer values before more. Between equals the
    name decides. RV(precedence) reports this. Two policies of which one would hold for no connection are refused.
extends_documentation_fragment:
  - sciviz.paraview.attributes.host
  - sciviz.paraview.sshd
attributes:
  check_mode:
    support: full
    details:
      - The policy is tested in check mode as well.
  diff_mode:
    support: full
options:
  name:
    description:
      - The policy's name, so that there can be several policies. It becomes part of a file name.
    type: str
    default: forwarding
  state:
    description:
      - V(absent) removes the policy of that O(name). Every file is then as before, byte for byte.
    type: str
    choices: [present, absent]
    default: present
  match:
    description:
      - The connections that the policy applies to. A dictionary of one or several of V(User), V(Group), V(Host), V(LocalAddress),
        V(LocalPort), V(Address), V(RDomain), each with a value or a list of values. All of them must match.
      - By default the policy is global.
    type: dict
    default: {}
  allow_tcp_forwarding:
    description:
      - V(no), V(yes), V(local) or V(remote). Booleans are accepted too.
    type: str
  gateway_ports:
    description:
      - V(no), V(yes) or V(clientspecified). V(yes) makes every loopback forward of every user public. A reverse tunnel
        needs V(clientspecified).
    type: str
  permit_listen:
    description:
      - Addresses and ports that a remote forward may listen on, such as V(127.0.0.1:*), or V(any) or V(none). sshd compares them as
        text, so V(localhost:*) and V(127.0.0.1:*) are different.
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
      - Whether sshd removes an existing unix socket at the path of a remote forward.
    type: str
  stream_local_bind_mask:
    description:
      - The mask for the mode of unix sockets, such as V("0177").
    type: str
  disable_forwarding:
    description:
      - Whether all forwarding is off, whatever the other options are.
    type: str
  verify:
    description:
      - Connections to test. If the policy applies to a connection, sshd must have the policy's values for it. For all others sshd must keep
        its values. Each connection must also meet its own C(must) and C(must_not).
      - By default they are derived from O(match), with one that it matches, such as a member of the group, and for each criterion one
        that it does not match.
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
        description: The address that the client connects to.
        type: str
        default: 127.0.0.1
      lport:
        description: The port that the client connects to.
        type: int
        default: 22
      rdomain:
        description: The routing domain of the connection.
        type: str
        default: ""
      must:
        description: Values that the connection must have, by the names of this module's options.
        type: dict
        default: {}
      must_not:
        description: Values that the connection must not have, by the names of this module's options.
        type: dict
        default: {}
  override:
    description:
      - Whether lines of others that set other values may be overridden. They are reported in RV(overrides). With V(false) the module
        fails instead, and names them.
    type: bool
    default: true
  reload:
    description:
      - Whether the service is reloaded, so that it reads the new configuration immediately.
    type: bool
    default: true
  backup:
    description:
      - Whether to keep a copy of each changed file, below C(/var/lib/sciviz-paraview/sshd-backups), where no program reads it.
    type: bool
    default: false
  confirm:
    description:
      - Seconds after which the host restores the old files by itself, at least V(5). If M(sciviz.paraview.sshd_forwarding_confirm) runs
        over a new login before that, the new files stay. V(0) for no such timer.
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

- name: Let them listen on the cluster's network as well, if they log in from inside
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

- name: Remove that policy
  sciviz.paraview.sshd_forwarding:
    name: viz-reverse
    state: absent
"""

RETURN = r"""
place:
  description: The place of the policy; empty if it is absent.
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
      description: What the module did with it, V(created), V(changed) or V(removed).
      type: str
      sample: created
    backup_file:
      description: Its backup copy, if there is one.
      type: str
      sample: /var/lib/sciviz-paraview/sshd-backups/etc/ssh/sshd_config.2026-11-22@10:00:00~
connections:
  description: The connections that were tested, and sshd's forwarding policy for each.
  returned: success
  type: list
  elements: dict
  contains:
    connection:
      description: The connection, in the form that C(sshd -T -C) accepts.
      type: str
      sample: user=alice,host=host.example,addr=192.0.2.1,laddr=127.0.0.1,lport=22
    about:
      description: Why it was tested.
      type: str
      sample: alice (matches the policy)
    before:
      description: The values before.
      type: dict
      sample: {allow_tcp_forwarding: "yes"}
    after:
      description: The values after.
      type: dict
      sample: {allow_tcp_forwarding: "local"}
    origins:
      description: File and line of each value in RV(connections[].after), by the same names; sshd's own defaults are left out.
      type: dict
      sample: {allow_tcp_forwarding: "/etc/ssh/sshd_config.d/00-sciviz-paraview-viz.conf:3"}
overrides:
  description: Lines of others that the policy overrides, and the connections for which it does.
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
      description: The connections for which it was in effect before.
      type: list
      elements: str
      sample: ["user=alice,host=host.example,addr=192.0.2.1,laddr=127.0.0.1,lport=22"]
exceptions:
  description: Lines under a C(Match) for whose connections a global policy does not hold, in the order in which sshd reads them.
  returned: success
  type: list
  elements: dict
  contains:
    match:
      description: The C(Match) line.
      type: str
      sample: Match Group sftponly
    match_file:
      description: The file of the C(Match) line.
      type: str
      sample: /etc/ssh/sshd_config
    match_line:
      description: The number of the C(Match) line.
      type: int
      sample: 2
    file:
      description: The file of the line below it.
      type: str
      sample: /etc/ssh/sshd_config
    line:
      description: The number of the line below it.
      type: int
      sample: 4
    keyword:
      description: The keyword.
      type: str
      sample: AllowTcpForwarding
    value:
      description: The value there.
      type: str
      sample: "no"
    policy:
      description: Name of the policy of this module that the line belongs to; empty if it is a line of others.
      type: str
      sample: ""
precedence:
  description: Values of this policy that another policy of this module overrides, or the reverse, for the connections to which both apply.
  returned: success
  type: list
  elements: dict
  contains:
    keyword:
      description: The keyword.
      type: str
      sample: AllowTcpForwarding
    policy:
      description: The policy that counts.
      type: str
      sample: viz
    value:
      description: Its value.
      type: str
      sample: local
    over:
      description: The policy that it overrides.
      type: str
      sample: site
    over_value:
      description: The value of that one.
      type: str
      sample: "no"
policies:
  description: Names of all policies of this module on the host, after the change.
  returned: success
  type: list
  elements: str
  sample: [site, viz]
reloaded:
  description: Whether the service was reloaded.
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

# A longer warning is not read. The result has the rest.
_LONGEST = 300
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
        module.warn(clean(warning if len(warning) <= _LONGEST else warning[:_LONGEST - 3] + "..."))
    module.exit_json(**result)


def perform(options, check_mode, scratch):
    policy.check_name(options["name"])
    requested, match, verify = policy.policy(options), policy.criteria(options["match"]), samples.named(options["verify"])
    if options["state"] == "present" and not requested:
        raise SessionError("the policy {0} is empty".format(options["name"]), "none of its settings is given",
                           "set one of " + ", ".join(policy.KEYWORDS))
    if options["confirm"] and options["confirm"] < 5:
        raise SessionError("confirm: {0} s is too short".format(options["confirm"]), "a new login takes longer", "use 5 s or more, or 0 for no timer")
    path, writable = apply.main_file(options["path"])
    daemon = sshd.Daemon()
    program, notes = apply.program_for(path, options["sshd"] or "", daemon, scratch)
    view = config.View()
    directory = os.path.dirname(view.real(path))
    timer = rollback.Rollback()
    with files.lock(directory):
        if not check_mode:
            timer.sweep(sshd.run)
            files.sweep({directory} | {os.path.dirname(one) for one in config.Tree(view, path).files})
        planner = sshd_plan.Planner(program, view, path, options["name"], writable)
        if options["state"] == "present":
            plan = planner.present(requested, match, verify, options["override"])
        else:
            plan = planner.absent(verify or planner.removal_samples(match))
        tidy = planner.made_directories() if options["state"] == "absent" else []
        pending = apply.Pending(path)
        change = apply.Change(program, view, path, daemon if options["reload"] else None, pending)
        stale = options["reload"] and pending.exists()
        old = {one: view.read(one) for one in plan.changes}
        if plan.changes and options["state"] == "present" and timer.armed and not options["confirm"]:
            raise SessionError("an earlier change waits for its confirmation", "the host would undo this change together with it",
                               "confirm the earlier change first, or wait until the host has undone it; nothing was changed")
        if (plan.changes or stale) and not check_mode:
            change.apply(plan, options["backup"], timer, options["confirm"], tidy)
        if timer.armed and not options["confirm"]:
            notes.append("an earlier change waits for its confirmation: unless it is confirmed, the host undoes it and every later change")
    changed = bool(plan.changes) or stale
    return {
        "changed": changed, "place": plan.place, "notes": notes + plan.warnings + change.warnings + (_overridden(plan) if plan.changes else []),
        "files": [_file(one, old[one], text, change.backups) for one, text in plan.changes.items()],
        "connections": sshd_plan.report(plan), "overrides": plan.overrides, "exceptions": list(plan.exceptions), "precedence": list(plan.precedence),
        "policies": sorted(set(planner.own) - {options["name"]} | ({options["name"]} if options["state"] == "present" else set())),
        "reloaded": changed and options["reload"] and not check_mode and not change.warnings,
        "diff": [_diff(one, old[one], text) for one, text in plan.changes.items()],
    }


def _overridden(plan):
    return ["the policy overrides {file}:{line} ({keyword} {0}) for {1} of the connections that were tested, which overrides lists".format(
        one["value"][:80], len(one["connections"]), **{name: one[name] for name in ("file", "line", "keyword")}) for one in plan.overrides]


def _file(path, old, new, backups):
    entry = {"path": path, "action": "created" if old is None else "removed" if new is None else "changed"}
    if path in backups:
        entry["backup_file"] = backups[path]
    return entry


def _diff(path, old, new):
    texts = [(text or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace") for text in (old, new)]
    return {"before_header": path if old is not None else "/dev/null", "after_header": path if new is not None else "/dev/null",
            "before": texts[0], "after": texts[1]}


if __name__ == "__main__":
    main()
