#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: forwarding_check
short_description: Ask a running sshd what it really forwards for a user
version_added: 0.1.0
description:
  - Logs in as a user and asks sshd for one forward after the other, as C(ssh -R) and C(ssh -L) would. It shows which are granted, which its policy
    refuses, and which fail for another reason.
  - For a remote forward it also looks where the listener stands. Under C(GatewayPorts no) sshd grants a forward on every address and puts it on loopback,
    under C(GatewayPorts yes) it opens one for loopback to everybody, and where a port is taken on one address family it listens on the other alone.
    No ssh client tells that.
  - Every forward is taken down again before the next is asked for.
extends_documentation_fragment:
  - sciviz.paraview.attributes
attributes:
  action:
    support: none
    details:
      - It runs where its task runs, and logs in from there. That is mostly the controller, by C(delegate_to).
  check_mode:
    support: full
    details:
      - It does the same in check mode. It changes nothing that stays.
  diff_mode:
    support: none
  idempotent:
    support: full
requirements:
  - paramiko >= 2.4
  - OpenSSH's ssh-keygen, which looks up known hosts
options:
  host:
    description:
      - Name or address of the host whose sshd is asked. C(~/.ssh/config) is not read.
    type: str
    required: true
  port:
    description:
      - Port of sshd.
    type: int
    default: 22
  user:
    description:
      - Whom to log in as. It is this user's rights that are found out.
      - By default the user that the task runs as.
    type: str
  private_key:
    description:
      - File of a private key. Where none is named C(~/.ssh/id_ed25519), C(~/.ssh/id_ecdsa) and C(~/.ssh/id_rsa) are tried last.
    type: path
  passphrase:
    description:
      - What unlocks the private key.
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
      - Answers to the prompts of C(keyboard-interactive), in their order, such as a one-time code. O(password) stands in for an empty
        one, and where there are more prompts than answers.
      - An answer of one or two characters is blanked out wherever they occur in the result.
    type: list
    elements: str
    default: []
  known_hosts:
    description:
      - File with the host keys that are known. C(/etc/ssh/ssh_known_hosts) is read as well.
    type: path
    default: ~/.ssh/known_hosts
  host_key_checking:
    description:
      - Whether the host key has to be a known one. Without it anybody on the way may be the host, and learns the password.
    type: bool
    default: true
  timeout:
    description:
      - Seconds that each answer may take.
    type: int
    default: 15
  remote:
    description:
      - Remote forwards (C(ssh -R)) to ask for. Each is a dict or, in short, a string V(ADDRESS:PORT), V([IPV6]:PORT) or V(/path).
      - C(bind) is the address to listen on, an address or V(localhost), V(*) or the empty string for all of them. The default is V(127.0.0.1).
      - C(port) is the port. The default V(0) takes a free one.
      - C(socket) is the path of a unix socket, instead of the two. A path where something is already is left alone.
      - C(expect) is what shall come of it. See the notes.
    type: list
    elements: raw
  local:
    description:
      - Local forwards (C(ssh -L)) to ask for. Each is a dict or, in short, a string as with O(remote).
      - C(host) and C(port) say where sshd shall connect to. It really does, and ends the connection at once.
        Do not name a pvserver that waits for its client.
      - C(socket) is the path of a unix socket, instead of the two.
      - C(expect) is what shall come of it. See the notes.
    type: list
    elements: raw
notes:
  - C(expect) is one of the words V(allowed), V(refused), V(failed) and V(elsewhere), or a list of those that will do. Where something else comes of a
    forward the task fails, after all have been asked for, and returns what it would have returned otherwise.
  - V(allowed) asks for a listener that stands where it was asked for. A forward that is granted and listens elsewhere is V(elsewhere). Where that cannot
    be seen V(allowed) holds, with a warning.
  - One shell is run for the user, with no terminal, to read C(/proc/net/tcp) and to see and remove unix sockets. Where sshd runs another command instead
    (C(ForceCommand)) that one is run once, without input, and listeners are looked for by dialling them through sshd.
author:
  - The sciviz.paraview developers (@sciviz)
seealso:
  - module: sciviz.paraview.sshd_forwarding
    description: It sets what is found out here.
  - module: sciviz.paraview.sshd_forwarding_info
    description: It shows from which file and line a value comes.
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

    - name: See what an ordinary user may
      sciviz.paraview.forwarding_check:
        host: login.frontera.example.edu
        user: ordinary
        password: "{{ password_of_ordinary }}"
        remote: ["127.0.0.1:0", "*:0"]
        local: ["c101:11111"]
      register: seen

    - name: Show it
      ansible.builtin.debug:
        var: seen.table
"""

RETURN = r"""
forwards:
  description: What came of each forward, those of O(remote) first, in their order.
  returned: where the login succeeded
  type: list
  elements: dict
  contains:
    kind:
      description: V(remote) or V(local).
      returned: always
      type: str
      sample: remote
    request:
      description: What was asked for, in its short form.
      returned: always
      type: str
      sample: 10.0.0.2:0
    verdict:
      description:
        - V(allowed) where sshd grants it. A local forward to where nothing listens is allowed as well, since the policy let it pass.
        - V(refused) where its policy does not.
        - V(failed) where it did not come about for another reason, such as a port that is taken or no answer.
      returned: always
      type: str
      sample: allowed
    why:
      description: The reason, or what is not as it was asked for; the server's own words stand behind C(sshd:). Empty where there is nothing to say.
      returned: always
      type: str
      sample: sshd puts it on loopback (GatewayPorts no)
    listens_on:
      description: Where the listener of a remote forward stood, as far as it could be seen.
      returned: always
      type: list
      elements: str
      sample: ["127.0.0.1:40123", "[::1]:40123"]
    as_asked:
      description: Whether it stood there and nowhere else; null where that could not be seen, and for local forwards.
      returned: always
      type: bool
      sample: false
    reached:
      description:
        - For a remote forward, whether a connection to the listener came back to the module; null where sshd dials nothing for this user.
        - For a local forward, whether something listens there; null where the dial was refused or got no answer.
      returned: always
      type: bool
      sample: true
    expect:
      description: What it was expected to be; empty where nothing was.
      returned: always
      type: list
      elements: str
      sample: [allowed]
    as_expected:
      description: Whether it was that; null where nothing was expected.
      returned: always
      type: bool
      sample: false
table:
  description: The same as lines of text, in columns.
  returned: where the login succeeded
  type: list
  elements: str
  sample:
    - "kind    request     verdict  listens on                     as asked  why"
    - "remote  *:0         allowed  127.0.0.1:40123 [::1]:40123    no        sshd puts it on loopback (GatewayPorts no)"
    - "local   c101:11111  refused  -                              -         sshd: administratively prohibited"
server:
  description: What the server says it is.
  returned: where the login succeeded
  type: str
  sample: SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3
user:
  description: The user whose rights these are.
  returned: where the login succeeded
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
    given = module.params
    try:
        requests = probe_requests.parse("remote", given["remote"] or []) + probe_requests.parse("local", given["local"] or [])
        found = probe.check(paramiko_login.Login(
            host=given["host"], port=given["port"], user=given["user"] or getpass.getuser(), password=given["password"] or "",
            private_key=given["private_key"] or "", passphrase=given["passphrase"] or "", agent=given["agent"], answers=given["answers"],
            known_hosts=[given["known_hosts"], "/etc/ssh/ssh_known_hosts"], host_key_checking=given["host_key_checking"],
            timeout=given["timeout"]), requests)
    except SessionError as error:
        module.fail_json(msg=clean(str(error)))
    for warning in found["warnings"]:
        module.warn(warning)
    result = {name: found[name] for name in ("forwards", "table", "server", "user")}
    if found["differences"]:
        told = "{0} of {1} forwards of {2} on {3} differ from what was expected".format(
            found["differences"], len(requests), found["user"], given["host"])
        module.fail_json(msg="\n".join([told] + found["table"]), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
