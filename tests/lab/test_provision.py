"""provision, as an admin sees it: every command of its guide, what the node does where no new login comes, several nodes."""

import contextlib
import json
import re
from pathlib import Path

import pytest
from test_guides import blocks, steps

GUIDE = Path(__file__).resolve().parents[2] / "docs/docsite/rst/guide_provision.rst"
PLACES = "etc/ssh etc/paraview-connect var/lib/sciviz-paraview run/sciviz-paraview*"
TREE = f"cd / && find {PLACES} -printf '%p %M %u %g\\n' -type f -exec sha256sum {{}} + 2>/dev/null; true"


class Admin:
    """root on the workstation, and what the login node looks like.

    Args:
        lab (Lab): from conftest.py.
        host (str): the login node's name in the inventory.
        node (str): its name in the lab.
        address (str): its own on the cluster's side.
    """

    def __init__(self, lab, host="lab", node="login", address="198.18.2.1"):
        self.lab, self.host, self.node, self.address = lab, host, node, address

    def run(self, command, check=True, timeout=120):
        done = self.lab.on("workstation", "sh", "-c", command, check=False, timeout=timeout)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def provision(self, *words, check=True, **settings):
        settings = {f"paraview_{name}": value for name, value in settings.items()}
        extra = " ".join(words)
        return self.run(f"ansible-playbook sciviz.paraview.provision -e host={self.host} {extra} -e '{json.dumps(settings)}'", check=check)

    def tree(self):
        return self.lab.on(self.node, "sh", "-c", TREE).stdout

    def value(self, keyword, user):
        told = self.lab.on(self.node, "/usr/sbin/sshd", "-T", "-C", f"user={user},host=h,addr=198.18.1.10,laddr={self.address},lport=22").stdout
        return re.search(rf"(?mi)^{keyword} (.*)$", told).group(1)


@contextlib.contextmanager
def administered(lab, **names):
    """A login node of which nothing is left afterwards."""
    admin = Admin(lab, **names)
    lab.sshd_policy(admin.node, None)
    lab.on(admin.node, "groupadd", "-f", "paraview")
    lab.on(admin.node, "usermod", "-aG", "paraview", "alice")
    try:
        yield admin
    finally:
        lab.on(admin.node, "sh", "-c",
               "systemctl stop paraview-sshd-rollback.timer; rm -rf /var/lib/sciviz-paraview /etc/paraview-connect; groupdel paraview; true")
        lab.sshd_policy(admin.node, None)


@pytest.fixture
def admin(lab):
    with administered(lab) as admin:
        yield admin


def changed(done, host="lab"):
    return int(re.search(rf"(?m)^{host} .*changed=(\d+)", done.stdout).group(1))


@pytest.mark.torture
def test_every_command_of_the_guide(admin):
    before = admin.tree()
    admin.run("mkdir -p guide && printf '[all]\\nlogin ansible_host=login.lab.example\\n' > guide/hosts")
    for language, caption, lines in blocks(GUIDE.read_text()):
        if language == "yaml":
            admin.lab.on("workstation", "sh", "-c", f"cat > guide/{caption}", input="\n".join(lines) + "\n")
            continue
        assert language == "console"
        for command, said in steps(lines):
            done = admin.run(f"cd guide && export ANSIBLE_INVENTORY=hosts && {command}")
            place = 0
            for line in said:
                place = done.stdout.find(line.strip(), place)
                assert place >= 0, (command, line, done.stdout)
    assert sorted(admin.run("cd guide/rendered && find . -type f").stdout.split()) == [
        "./login/etc/paraview-connect/site.yml", "./login/etc/ssh/sshd_config.d/00-sciviz-paraview-forwarding.conf"]
    admin.run("rm -r guide")
    assert admin.tree() == before, "to the byte"


@pytest.mark.everywhere
def test_the_profile_gateway(admin):
    the_profile_gateway(admin)


def the_profile_gateway(admin):
    """It is set once, holds for the group alone, is published, and is taken back to the byte."""
    before = admin.tree()
    settings = {"sshd_profile": "gateway", "cluster_address": admin.address, "login_ports": "11111-11112"}
    shown = admin.provision("--check", "--diff", **settings)
    assert "GatewayPorts clientspecified" in shown.stdout
    assert admin.tree() == before, "a check changes nothing"
    assert changed(admin.provision(**settings), admin.host)
    assert changed(admin.provision(**settings), admin.host) == 0
    assert set(admin.value("permitlisten", "alice").split()) == {
        f"{host}:{port}" for host in (admin.address, "127.0.0.1", "localhost") for port in (11111, 11112)}
    assert admin.value("permitlisten", "bob") == "any"
    site = admin.lab.on(admin.node, "cat", "/etc/paraview-connect/site.yml", user="bob").stdout
    assert f'cluster_address: "{admin.address}"' in site and 'login_ports: "11111-11112"' in site
    assert admin.lab.on(admin.node, "stat", "-c", "%U %a", "/etc/paraview-connect/site.yml").stdout.split() == ["root", "644"]
    admin.provision(sshd_state="absent")
    assert admin.tree() == before


@pytest.mark.parametrize(("settings", "said"), [
    ({"sshd_profile": "gateway"}, "the profile gateway needs paraview_cluster_address"),
    ({"forwarding_group": "nosuch"}, "group nosuch does not exist on this host"),
    ({"sshd_profile": "open"}, "value of paraview_sshd_profile must be one of: forward_only, relay, gateway"),
    ({"login_ports": "many"}, "paraview_login_ports must be a range")])
def test_a_wrong_setting_changes_nothing(admin, settings, said):
    before = admin.tree()
    done = admin.provision(check=False, **settings)
    assert done.returncode != 0
    assert said in re.sub(r"\\n|\s+", " ", done.stdout + done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    assert admin.tree() == before


def test_the_node_helps_itself_where_no_new_login_comes(admin):
    before = admin.tree()
    # The change comes in over a connection that stays; from then on nobody can log in.
    closing = "/etc/systemd/system/ssh.service.d/lab.conf"
    admin.lab.on("login", "sh", "-c", f"mkdir -p {closing.rpartition('/')[0]}; cat > {closing}; systemctl daemon-reload", input=(
        "[Service]\nExecReload=/bin/sh -c 'nft add table inet shut; nft add chain inet shut in \"{ type filter hook input priority -10; }\";"
        " nft add rule inet shut in iif != lo tcp dport 22 tcp flags syn drop'\n"))
    try:
        done = admin.provision("--forks 1", "--timeout 3", check=False, confirm_timeout="8s")
        assert done.returncode != 0
        assert re.search(r"(?m)^lab .*failed=1", done.stdout)
        told = done.stdout + done.stderr
        assert "no new login to lab succeeds since the policy was changed" in told and "the host undoes the change by itself within 8s" in told
        assert "TASK [sciviz.paraview.sshd_forwarding : Publish the site's values]" not in done.stdout
    finally:
        admin.lab.on("login", "sh", "-c", f"nft delete table inet shut; rm -r {closing.rpartition('/')[0]}; systemctl daemon-reload")
    admin.lab.wait(lambda: admin.tree() == before, 30, "the old files are back")
    admin.lab.wait(lambda: admin.run("ansible lab -m ansible.builtin.ping", check=False).returncode == 0, 20, "a new login works")
    assert admin.value("allowtcpforwarding", "alice") == "yes"


FLEET = tuple(f"login{number}" for number in range(1, 7))


@pytest.fixture
def fleet(admin):
    """Six login nodes, each with a configuration of its own: here they are six main files on one node."""
    lines = "".join(f"{name} ansible_host=login.lab.example paraview_sshd_path=/root/fleet/{name}/sshd_config\n" for name in FLEET)
    admin.run(f"printf '[fleet]\n{lines}' > fleet")
    each = 'for name in "$@"; do mkdir -p /root/fleet/$name; grep -v ^Include /etc/ssh/sshd_config > /root/fleet/$name/sshd_config; done'
    admin.lab.on("login", "sh", "-c", each, "sh", *FLEET)
    yield admin
    admin.run("rm fleet")
    admin.lab.on("login", "sh", "-c", "rm -r /root/fleet")


def provision_fleet(admin, *words, check=True):
    return admin.run("ansible-playbook -i fleet sciviz.paraview.provision -e host=fleet " + " ".join(words), check=check)


def policies_of_the_fleet(admin):
    return admin.lab.on("login", "sh", "-c", "grep -lr 'sciviz.paraview' /root/fleet | cut -d/ -f4 | sort -u").stdout.split()


def test_what_one_of_six_nodes_refuses_changes_none(fleet):
    fleet.lab.on("login", "sh", "-c", "echo 'NoSuchOption yes' >> /root/fleet/login3/sshd_config")
    before = fleet.tree()
    done = provision_fleet(fleet, check=False)
    assert done.returncode != 0
    assert "no login node was changed, since login3 refuses: " in done.stdout + done.stderr
    assert "Bad configuration option: NoSuchOption" in done.stdout + done.stderr
    assert policies_of_the_fleet(fleet) == [] and fleet.tree() == before


def test_the_third_of_six_nodes_fails(fleet):
    """What was done stays, what failed is as before, and nothing else is touched."""
    # The daemon cannot be reloaded as long as the third one has a policy.
    closing = "/etc/systemd/system/ssh.service.d/lab.conf"
    fleet.lab.on("login", "sh", "-c", f"mkdir -p {closing.rpartition('/')[0]}; cat > {closing}; systemctl daemon-reload", input=(
        "[Service]\nExecReload=\nExecReload=/bin/sh -c '! grep -qr sciviz /root/fleet/login3'\nExecReload=/bin/kill -HUP $MAINPID\n"))
    try:
        done = provision_fleet(fleet, check=False)
    finally:
        fleet.lab.on("login", "sh", "-c", f"rm -r {closing.rpartition('/')[0]}; systemctl daemon-reload")
    assert done.returncode != 0
    told = re.sub(r"\\n", "\n", done.stdout + done.stderr)
    assert "login3 failed: Set the forwarding policy of sshd" in told and "the old configuration was restored" in told
    assert "on login3 the policy of sshd is as before" in told
    assert "changed before, and kept: login1, login2" in told and "not touched: login4, login5, login6" in told
    assert policies_of_the_fleet(fleet) == ["login1", "login2"]
    done = provision_fleet(fleet)
    assert [changed(done, name) > 0 for name in FLEET] == [False, False, True, True, True, True]
    assert policies_of_the_fleet(fleet) == list(FLEET)
    assert not any(changed(provision_fleet(fleet), name) for name in FLEET)


@pytest.mark.torture
def test_a_route_of_connect_by_the_policy(admin):
    """What the guide promises: a member connects by it, and an ordinary user's forwarding is as it was."""
    admin.lab.sshd_policy("login", "AllowTcpForwarding no\nGatewayPorts no\n")
    admin.provision()
    there = "echo there > /tmp/f; timeout 20 nc -l -N 127.0.0.1 23456 < /tmp/f"
    for user, works in (("alice", True), ("bob", False)):
        listener = admin.lab.start("login", "sh", "-c", there, user=user)
        admin.lab.wait(lambda: "23456" in admin.lab.on("login", "ss", "-Hltn").stdout, 10, "a listener")
        done = admin.lab.on("workstation", "timeout", "15", "ssh", "-W", "127.0.0.1:23456", "login.lab.example", user=user, check=False)
        assert ("there" in done.stdout) is works, done.stdout + done.stderr
        listener.terminate()
        listener.wait(20)
        admin.lab.on("login", "rm", "-f", "/tmp/f")
    admin.provision(sshd_state="absent")
    assert admin.value("allowtcpforwarding", "alice") == "no"
