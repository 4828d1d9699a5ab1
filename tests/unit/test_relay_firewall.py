# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-relay-firewall, with stand-ins for firewall-cmd and nft that keep rules in files; the lab uses the real nft."""

import subprocess

import pytest
from conftest import TOP

PROGRAM = TOP / "roles/relay/files/paraview-relay-firewall"
ADDRESS, PORTS = "198.18.2.1", "11111-11130"
NETWORKS = ("198.18.2.0/24", "198.18.9.7")

# firewall-cmd only warns if a rule to be added exists, or a rule to be removed does not.
FIREWALL_CMD = r"""#!/bin/sh
kept=runtime
for option; do
    case $option in
        -q) ;;
        --permanent) kept=permanent ;;
        --zone=*) zone=${option#--zone=} ;;
        --*-rich-rule=*) verb=${option#--} verb=${verb%%-*} rule=${option#*=} ;;
        *) echo "unknown option $option" >&2; exit 2 ;;
    esac
done
[ -e @DOWN@ ] && { echo 'FirewallD is not running' >&2; exit 252; }
touch @RULES@
line="$kept $zone $rule"
case $verb in
    query) grep -qxF "$line" @RULES@ ;;
    add) grep -qxF "$line" @RULES@ || echo "$line" >>@RULES@ ;;
    remove) grep -vxF "$line" @RULES@ >@RULES@.new; mv @RULES@.new @RULES@ ;;
esac
"""


class Firewall:
    """The program with a firewall-cmd that writes to a file."""

    def __init__(self, tmp_path, program):
        self.rules, self.down, self.added = tmp_path / "rules", tmp_path / "down", tmp_path / "var" / "relay-firewall"
        text = PROGRAM.read_text()
        assert "/var/lib/sciviz-paraview/relay-firewall" in text
        self.program = program("paraview-relay-firewall", text.replace("/var/lib/sciviz-paraview/relay-firewall", str(self.added)))
        program("firewall-cmd", FIREWALL_CMD.replace("@RULES@", str(self.rules)).replace("@DOWN@", str(self.down)))
        self.path = "{0}:/usr/bin:/bin".format(tmp_path / "bin")

    def run(self, *arguments):
        return subprocess.run([self.program] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, env={"PATH": self.path})

    def firewalld(self, verb, *networks, zone="public", ports=PORTS):
        done = self.run(verb, "firewalld", zone, ADDRESS, ports, *(networks or NETWORKS))
        assert done.stderr == b"" or done.returncode, done.stderr
        return done.returncode

    def lines(self):
        return sorted(self.rules.read_text().splitlines()) if self.rules.exists() else []


@pytest.fixture(name="firewall")
def _firewall(tmp_path, program):
    return Firewall(tmp_path, program)


def expected(networks=NETWORKS, zone="public", ports=PORTS):
    return sorted('{0} {1} rule family="ipv4" source address="{2}" destination address="{3}" port port="{4}" protocol="tcp" accept'.format(
        kept, zone, network, ADDRESS, ports) for kept in ("permanent", "runtime") for network in networks)


def test_firewalld(firewall):
    foreign = 'permanent public rule family="ipv4" source address="10.0.0.0/8" accept'
    firewall.rules.write_text(foreign + "\n")
    assert firewall.firewalld("look") == 1
    assert firewall.firewalld("open") == 0
    assert firewall.lines() == sorted(expected() + [foreign])
    assert firewall.firewalld("look") == 0
    assert firewall.firewalld("open") == 0
    assert firewall.lines() == sorted(expected() + [foreign])
    assert firewall.firewalld("close") == 0
    assert firewall.lines() == [foreign]
    assert not firewall.added.parent.exists()
    assert firewall.firewalld("close") == 0
    assert firewall.lines() == [foreign]


def test_other_settings_replace_the_old_rules(firewall):
    firewall.firewalld("open")
    assert firewall.firewalld("look", "198.18.2.0/24") == 1
    assert firewall.firewalld("open", "198.18.2.0/24", zone="work", ports="12000") == 0
    assert firewall.lines() == expected(["198.18.2.0/24"], "work", "12000")


def test_rules_that_another_program_removed(firewall):
    firewall.firewalld("open")
    firewall.rules.write_text("\n".join(expected()[:2]) + "\n")
    assert firewall.firewalld("look") == 1
    assert firewall.firewalld("open") == 0
    assert firewall.lines() == expected()


def test_firewalld_that_is_down(firewall):
    firewall.down.touch()
    assert firewall.firewalld("open") != 0
    assert firewall.firewalld("look") != 0
    firewall.down.unlink()
    assert firewall.firewalld("open") == 0
    firewall.down.touch()
    assert firewall.firewalld("close") != 0
    assert firewall.added.exists(), "the list of rules to be removed is kept"


def test_ipv6(firewall):
    firewall.firewalld("open", "fd00::/64")
    assert all('family="ipv6" source address="fd00::/64"' in line for line in firewall.lines())


@pytest.mark.parametrize("arguments", [[], ["open"], ["open", "firewalld", "public", ADDRESS, PORTS], ["shut", "firewalld", "public", ADDRESS, PORTS, "a"],
                                       ["open", "iptables", "INPUT", ADDRESS, PORTS, "a"]])
def test_usage(firewall, arguments):
    done = firewall.run(*arguments)
    assert (done.returncode, done.stderr.split(b" ")[0]) == (2, b"usage:")


NFT = r"""#!/bin/sh
case $* in
    '-a list chain inet filter input')
        cat <<'END'
table inet filter { # handle 7
@chain input { # handle 1
@@type filter hook input priority filter; policy accept;
@@ip saddr 198.18.2.0/24 ip daddr 198.18.2.1 tcp dport 11111-11130 accept comment "paraview-relay" # handle 5
@@tcp dport 22 accept comment "paraview-relay-not" # handle 3
@@ip saddr 10.0.0.0/8 accept # handle 4
@}
}
END
        ;;
    *) printf '%s\n' "$*" >>%CALLS% ;;
esac
""".replace("@", "\t")


DELETE = "delete rule inet filter input handle 5"
INSERT = 'insert rule inet filter input ip saddr 198.18.3.0/24 ip daddr 198.18.2.1 tcp dport 11111-11130 accept comment "paraview-relay"'


@pytest.mark.parametrize(("verb", "network", "code", "calls"), [
    ("look", "198.18.2.0/24", 0, []), ("look", "198.18.3.0/24", 1, []), ("close", "198.18.2.0/24", 0, [DELETE]),
    ("open", "198.18.3.0/24", 0, [DELETE, INSERT])])
def test_nftables(firewall, program, tmp_path, verb, network, code, calls):
    program("nft", NFT.replace("%CALLS%", str(tmp_path / "calls")))
    done = firewall.run(verb, "nftables", "inet filter input", ADDRESS, PORTS, network)
    assert (done.returncode, done.stderr) == (code, b"")
    assert ((tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []) == calls
