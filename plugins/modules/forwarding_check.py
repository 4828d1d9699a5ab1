#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: forwarding_check
short_description: Test what a running sshd really forwards for a user
version_added: 0.1.0
description:
  - Logs in as a user and requests one forward after the other from sshd, as C(ssh -R) and C(ssh -L) do. It shows which forwards sshd grants, which
    its policy refuses, and which fail for another reason.
  - For a remote forward it also checks where sshd listens. With C(GatewayPorts no), sshd grants a forward on every address, but binds it to loopback.
    With C(GatewayPorts yes), it opens a forward on loopback to everybody. If a port is in use on one address family, it listens on the other alone.
    No ssh client reports this.
  - Each forward is closed before the next one is requested.
extends_documentation_fragment:
  - sciviz.paraview.attributes
attributes:
  action:
    support: none
    details:
      - The module runs on the host of its task, and logs in from there. Usually that is the controller, by C(delegate_to).
  check_mode:
    support: full
    details:
      - It does the same in check mode, since it leaves no change behind.
  diff_mode:
    support: none
  idempotent:
    support: full
requirements:
  - paramiko >= 2.4
  - OpenSSH's ssh-keygen, which searches known hosts
options:
  host:
    description:
      - Name or address of the host whose sshd is tested. C(~/.ssh/config) is not read.
    type: str
    required: true
  port:
    description:
      - Port of sshd.
    type: int
    default: 22
  user:
    description:
      - The user to log in as. The result is what sshd allows to this user.
      - By default the user that the task runs as.
    type: str
  private_key:
    description:
      - File of a private key. If none is given, C(~/.ssh/id_ed25519), C(~/.ssh/id_ecdsa) and C(~/.ssh/id_rsa) are tried last.
    type: path
  passphrase:
    description:
      - Passphrase of the private key.
    type: str
  agent:
    description:
      - Whether to try the keys of the ssh agent as well.
    type: bool
    default: true
  password:
    description:
      - Password, for the methods C(password) and C(keyboard-interactive).
    type: str
  answers:
    description:
      - Answers to the prompts of C(keyboard-interactive), in their order, such as a one-time code. O(password) replaces an empty
        answer, and is used if there are more prompts than answers.
      - Ansible masks the text of each answer wherever it occurs in the result. An answer of one or two characters masks unrelated text too.
    type: list
    elements: str
    default: []
  known_hosts:
    description:
      - File with known host keys. C(/etc/ssh/ssh_known_hosts) is read as well.
    type: path
    default: ~/.ssh/known_hosts
  host_key_checking:
    description:
      - Whether the host key must be in a file of known hosts. Without this check, anybody on the network path can pose as the host and read the password.
    type: bool
    default: true
  timeout:
    description:
      - Seconds to wait for each answer.
    type: int
    default: 15
  remote:
    description:
      - Remote forwards (C(ssh -R)) to request. Each is a dict or, in short, a string V(ADDRESS:PORT), V([IPV6]:PORT) or V(/path).
      - C(bind) is the address to listen on, an address or V(localhost), V(*) or the empty string for all of them. The default is V(127.0.0.1).
      - C(port) is the port. The default V(0) uses a free one.
      - C(socket) is the path of a unix socket, instead of address and port. If the path exists already, it is not changed.
      - C(expect) is the expected result. See the notes.
    type: list
    elements: raw
  local:
    description:
      - Local forwards (C(ssh -L)) to request. Each is a dict or, in short, a string, as for O(remote).
      - C(host) and C(port) are the destination. sshd really connects to it, and the connection ends immediately.
        Do not name a pvserver that waits for its client.
      - C(socket) is the path of a unix socket, instead of host and port.
      - C(expect) is the expected result. See the notes.
    type: list
    elements: raw
notes:
  - C(expect) is V(allowed), V(refused), V(failed) or V(elsewhere), or a list of the accepted results. If a forward has another result, the task fails. It
    fails after the last request, and returns the same values as a task that succeeds.
  - V(allowed) requires that sshd listens exactly where requested. V(elsewhere) is a forward that sshd grants, but for which it listens elsewhere. If the
    listener cannot be checked, V(allowed) counts as met, with a warning.
  - One shell runs as the user, without a terminal, to read C(/proc/net/tcp) and to find and remove unix sockets. If sshd runs another command instead
    (C(ForceCommand)), that command runs once, without input. Listeners are then found by connections through sshd.
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.sshd_forwarding
    description: It sets the policy that this module tests.
  - module: sciviz.paraview.sshd_forwarding_info
    description: It shows the file and line that a value comes from.
"""

EXAMPLES = r"""
- name: Accept a login node
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Nodes reach what members of the group forward, and nobody else does
      sciviz.paraview.forwarding_check:
        host: login.frontera.example.edu
        user: member
        private_key: ~/.ssh/acceptance
        remote:
          - {bind: 10.0.0.2, expect: allowed}
          - {bind: 127.0.0.1, expect: allowed}
          - {bind: "*", expect: [refused, elsewhere]}
          - {socket: /run/user/20817/acceptance.sock, expect: allowed}
        local:
          - {host: c101, port: 11111, expect: allowed}
          - {host: www.example.com, port: 443, expect: refused}

    - name: Test what an ordinary user may forward
      sciviz.paraview.forwarding_check:
        host: login.frontera.example.edu
        user: ordinary
        password: "{{ password_of_ordinary }}"
        remote: ["127.0.0.1:0", "*:0"]
        local: ["c101:11111"]
      register: seen

    - name: Show the result
      ansible.builtin.debug:
        var: seen.table
"""

RETURN = r"""
forwards:
  description: The result of each forward, those of O(remote) first, in their order.
  returned: if the login succeeded
  type: list
  elements: dict
  contains:
    kind:
      description: V(remote) or V(local).
      returned: always
      type: str
      sample: remote
    request:
      description: The request, in its short form.
      returned: always
      type: str
      sample: 10.0.0.2:0
    verdict:
      description:
        - V(allowed) if sshd grants it. A local forward to a port where nothing listens is allowed too, since the policy permits it.
        - V(refused) if sshd's policy refuses it.
        - V(failed) if it failed for another reason, such as a port in use or no answer.
      returned: always
      type: str
      sample: allowed
    why:
      description: The reason, or what differs from the request; C(sshd:) precedes the server's own message. Empty if there is none.
      returned: always
      type: str
      sample: sshd binds it to loopback (GatewayPorts no)
    listens_on:
      description: Where sshd listened for a remote forward, as far as it could be checked.
      returned: always
      type: list
      elements: str
      sample: ["127.0.0.1:40123", "[::1]:40123"]
    as_asked:
      description: Whether sshd listened where requested and nowhere else; null if that could not be checked, and for local forwards.
      returned: always
      type: bool
      sample: false
    reached:
      description:
        - For a remote forward, whether a connection to the listener arrived at the module; null if sshd opens no connections for this user.
        - For a local forward, whether something listens there; null if sshd refused the connection or did not answer.
      returned: always
      type: bool
      sample: true
    expect:
      description: The expected results; empty if none was given.
      returned: always
      type: list
      elements: str
      sample: [allowed]
    as_expected:
      description: Whether the result was expected; null if no expectation was given.
      returned: always
      type: bool
      sample: false
table:
  description: The same results as lines of text, in columns.
  returned: if the login succeeded
  type: list
  elements: str
  sample:
    - "kind    request     verdict  listens on                     as asked  why"
    - "remote  *:0         allowed  127.0.0.1:40123 [::1]:40123    no        sshd binds it to loopback (GatewayPorts no)"
    - "local   c101:11111  refused  -                              -         sshd: administratively prohibited"
server:
  description: The version string of the server.
  returned: if the login succeeded
  type: str
  sample: SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3
user:
  description: The user for whom sshd was tested.
  returned: if the login succeeded
  type: str
  sample: member
"""

import getpass

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import clean
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import paramiko_login, probe, probe_requests


def main():
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 22},
            "user": {"type": "str"},
            "private_key": {"type": "path", "no_log": False},
            "passphrase": {"type": "str", "no_log": True},
            "agent": {"type": "bool", "default": True},
            "password": {"type": "str", "no_log": True},
            "answers": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "known_hosts": {"type": "path", "default": "~/.ssh/known_hosts"},
            "host_key_checking": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 15},
            "remote": {"type": "list", "elements": "raw"},
            "local": {"type": "list", "elements": "raw"},
        },
        required_one_of=[["remote", "local"]],
        supports_check_mode=True,
    )
    if paramiko_login.MISSING:
        module.fail_json(msg=missing_required_lib("paramiko"), exception=paramiko_login.MISSING)
    options = module.params
    try:
        requests = probe_requests.parse("remote", options["remote"] or []) + probe_requests.parse("local", options["local"] or [])
        found = probe.check(paramiko_login.Login(
            host=options["host"], port=options["port"], user=options["user"] or getpass.getuser(), password=options["password"] or "",
            private_key=options["private_key"] or "", passphrase=options["passphrase"] or "", agent=options["agent"], answers=options["answers"],
            known_hosts=[options["known_hosts"], "/etc/ssh/ssh_known_hosts"], host_key_checking=options["host_key_checking"],
            timeout=options["timeout"]), requests)
    except SessionError as error:
        module.fail_json(msg=clean(str(error)))
    for warning in found["warnings"]:
        module.warn(warning)
    result = {name: found[name] for name in ("forwards", "table", "server", "user")}
    if found["differences"]:
        message = "{0} of {1} forwards of {2} on {3} differ from what was expected".format(
            found["differences"], len(requests), found["user"], options["host"])
        module.fail_json(msg="\n".join([message] + found["table"]), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
