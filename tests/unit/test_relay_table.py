# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of users and nodes that paraview-relay-authorize writes as root and reads as the relay."""

import os
import re
import stat
import subprocess
import sys
import time

import pytest
from conftest import TOP
from hypothesis import given
from hypothesis import strategies as st
from programs import loaded
from relay import interpreters

PROGRAM = TOP / "roles/relay/files/paraview-relay-authorize"
YES, NO, UNKNOWN = 0, 1, 2
authorize = loaded(PROGRAM)
NOW = 1796006075


def table(*lines, written=NOW, period=40, end=None):
    return "".join(line + "\n" for line in ("paraview-relay-nodes 1 written {0} period {1}".format(written, period),) + lines
                   + ("end {0} whole".format(len(lines)) if end is None else end,))


@pytest.fixture(name="place")
def _place(tmp_path, monkeypatch):
    """The path of a table whose owner counts as root."""
    monkeypatch.setattr(authorize, "ROOT", os.getuid())
    tmp_path.chmod(0o755)
    return tmp_path / "table"


@pytest.fixture(name="check")
def _check(place, monkeypatch):
    monkeypatch.setattr(authorize, "addresses_of", lambda name: [authorize.plain({"c4": "10.3.0.4"}.get(name, name))])

    def check(owner="zoe", source="10.3.0.4"):
        return authorize.answer("table={0}".format(place), owner, source, authorize.Commands())
    return check


@pytest.mark.parametrize(("owner", "source", "code"), [
    ("zoe", "10.3.0.4", YES), ("zoe", "10.3.0.9", YES), ("zoe", "10.3.0.5", NO), ("yan", "10.3.0.4", NO), ("3001", "fd00::9", YES), ("xiu", "10.3.0.4", NO)])
def test_users_and_nodes(place, check, owner, source, code):
    place.write_text(table("zoe c4 10.3.0.9", "yan", "3001 fd00::9", written=int(time.time())))
    found, why = check(owner, source)
    assert found == code, why
    assert (" is a node of " in why) is (code == YES)


def test_a_user_by_name_or_by_uid(place, check, monkeypatch):
    account = authorize.pwd.struct_passwd(("zoe", "x", 3007, 100, "", "/", "/bin/sh"))
    monkeypatch.setattr(authorize.pwd, "getpwnam", {"zoe": account}.__getitem__)
    monkeypatch.setattr(authorize.pwd, "getpwuid", {3007: account}.__getitem__)
    for line in ("zoe c4", "3007 c4"):
        place.write_text(table(line, written=int(time.time())))
        assert [check(owner)[0] for owner in ("zoe", "3007", "yan", "3008")] == [YES, YES, NO, NO]


@pytest.mark.parametrize(("age", "fresh"), [(0, True), (59, True), (62, False), (86400, False), (-4, True), (-3600, False)])
def test_a_table_older_than_its_period_and_a_half_is_no_answer(place, check, age, fresh):
    place.write_text(table("zoe c4", written=int(time.time()) - age))
    assert [check(source=source)[0] for source in ("10.3.0.4", "10.3.0.5")] == ([YES, NO] if fresh else [UNKNOWN, UNKNOWN])
    why = "what renews it does not run, or failed" if age > 0 else "the clock of this host was set back"
    assert fresh or "counts for 60 s: {0}".format(why) in check()[1]


def test_the_reason_for_a_table_that_is_too_old_stays_the_same():
    reasons = set()
    for age in (61, 62, 90, 86400):
        with pytest.raises(authorize.Unanswered) as caught:
            authorize.table_users(table("zoe c4"), NOW + age)
        reasons.add(str(caught.value))
    assert reasons == {"the table of nodes was written at 2026-11-30 02:34:35 UTC and counts for 60 s: what renews it does not run, or failed"}, \
        "the relay logs the same text once a minute"


def test_an_incomplete_table_says_yes_but_never_no(place, check):
    place.write_text(table("zoe c4", written=int(time.time()), end="end 1 incomplete"))
    assert check() == (YES, "10.3.0.4 is a node of a running job of zoe")
    assert check(source="10.3.0.5")[0] == check("yan")[0] == UNKNOWN


def made(place, how):
    """The table, in a way in which others could have written it."""
    if how == "writable":
        place.chmod(0o666)
    elif how == "group":
        place.chmod(0o664)
    elif how == "folder":
        place.parent.chmod(0o777)
    elif how == "group of the folder":
        place.parent.chmod(0o770)
    elif how == "link":
        (place.parent / "open").mkdir()
        place.rename(place.parent / "open/real")
        place.symlink_to(place.parent / "open/real")
        (place.parent / "open").chmod(0o777)
    elif how == "pipe":
        place.unlink()
        os.mkfifo(str(place), 0o644)
    elif how == "directory":
        place.unlink()
        place.mkdir()
    elif how == "none":
        place.unlink()


@pytest.mark.parametrize(("how", "said"), [
    ("writable", "with mode 666"), ("group", "with mode 664"), ("folder", "with mode 777"), ("group of the folder", "with mode 770"), ("link", "with mode 777"),
    ("pipe", "not a regular file"), ("directory", "cannot be read: Is a directory"), ("none", "No such file")])
def test_a_table_that_others_could_have_written_is_refused(place, check, how, said):
    place.write_text(table("zoe c4", written=int(time.time())))
    place.chmod(0o644)
    assert check()[0] == YES
    made(place, how)
    code, why = check()
    assert code == UNKNOWN
    assert said in why
    place.parent.chmod(0o755)


def test_a_table_of_another_account_is_refused(place, check, monkeypatch):
    place.write_text(table("zoe c4", written=int(time.time())))
    found = os.stat(str(place))
    with pytest.raises(authorize.Unanswered, match="belongs to uid 4711 with mode 644: others than root could have written the table"):
        authorize.check_writers("/run/x", os.stat_result([stat.S_IFREG | 0o644] + list(found)[1:4] + [4711] + list(found)[5:]))


@pytest.mark.parametrize("text", [
    "", "\n", "zoe c4\n", table("zoe c4")[:-1], table("zoe c4")[:-10], table("zoe c4", end="end 2 whole"), table("zoe c4", end="end 0 whole"),
    table("zoe c4", "zoe c5"), table("zoe c4;rm"), table("zoe  c4"), table("-zoe c4"), table("zoe -c4"), table(" c4"), table("zoe c4 "), table("zoe\tc4"),
    table("zoe c4\r"), table("", "zoe c4"), table("zoe c4", period="x"), table("zoe c4").replace("nodes 1", "nodes 2"), table("zoe c4") + "yan c4\n",
    table("zoe c4\x00"), "#" + table("zoe c4")])
def test_a_damaged_table_is_no_answer(text):
    with pytest.raises(authorize.Unanswered, match="the table of nodes "):
        authorize.table_users(text, NOW)


@given(cut=st.integers(0, 200), more=st.text(alphabet="zoe c4\nend 1 whole\x00é", max_size=8))
def test_a_table_cut_anywhere_or_with_more_behind_it(cut, more):
    text = table("zoe c4 c5", "yan c6")
    try:
        users, _whole = authorize.table_users(text[:cut] + more, NOW)
    except authorize.Unanswered:
        return
    assert text[:cut] + more == text
    assert sorted(users) == ["yan", "zoe"]


# ---- what writes it ------------------------------------------------------------------------------------------------------------


CONTROL = "NodeName=n1 NodeAddr=10.9.0.1 NodeHostName=n1 Version=1\nNodeName=n2 NodeAddr=n2 NodeHostName=h2\nNodeName=n3 NodeAddr=10.9.0.3 Version=1\n"
GRID = ("<?xml version='1.0'?>\n<job_info>\n<queue_info>\n" + "".join(
    '<job_list state="running">\n<JB_owner>{0}</JB_owner>\n<state>{1}</state>\n<queue_name>all.q@{2}</queue_name>\n</job_list>\n'.format(*job)
    for job in (("zoe", "r", "n1"), ("zoe", "r", "n2"), ("yan", "s", "n3"), ("yan", "r", "n4"))) + "</queue_info>\n</job_info>\n")
JOBS = ('{"Jobs":{"1.p":{"Job_Owner":"zoe@l","job_state":"R","exec_host":"n1/0+n2/0"},"2.p":{"Job_Owner":"yan@l","job_state":"R","exec_host":"n4/0"}}}')
SYSTEMS = {
    "slurm": ({"squeue": '[ "$*" = "-h -t RUNNING -o %U|%T|%N" ] && printf "3001|RUNNING|n[1-2]\\n3002|RUNNING|n4\\n3001|RUNNING|n2\\n"',
               "scontrol": '[ "$*" = "-o show node" ] && cat <<E\n' + CONTROL + "E\n"}, ["3001 n1 n2 10.9.0.1 h2", "3002 n4"]),
    "pbs": ({"qselect": '[ "$*" = "-s R" ] && printf "1.p\\n2.p\\n"',
             "qstat": '[ "$*" = "-f -F json 2.p 1.p" ] && echo \'' + JOBS + "'"}, ["yan n4", "zoe n1 n2"]),
    "sge": ({"qstat": '[ "$*" = "-u * -s r -g t -xml" ] && cat <<E\n' + GRID + "E\n"}, ["zoe n1 n2", "yan n4"])}


@pytest.fixture(name="write")
def _write(tmp_path, program, place):
    def write(system, commands, path=place, python=sys.executable):
        for name, text in commands.items():
            program(name, "#!/bin/sh\n" + text + "\n")
        return subprocess.run([python, "-IS", str(PROGRAM), "write", system, "40", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              timeout=20, env={"PATH": "{0}:/usr/bin:/bin".format(tmp_path / "bin")}, text=True)
    return write


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_what_is_written_is_read(place, write, system):
    commands, lines = SYSTEMS[system]
    for _twice in range(2):
        done = write(system, commands)
        assert (done.returncode, done.stderr) == (0, "")
    assert re.sub(r"written \d+ ", "written {0} ".format(NOW), place.read_text()) == table(*lines)
    assert not place.stat().st_mode & 0o177, "only root reads it while the relay does not run"
    assert os.listdir(str(place.parent)).count("table.new") == 0
    users, whole = authorize.table_users(authorize.table_text(str(place)), time.time())
    assert whole
    assert [" ".join([user] + [node.name for node in nodes]) for user, nodes in users.items()] == lines


@pytest.mark.parametrize("python", interpreters())
def test_the_check_prints_the_table_and_writes_nothing(place, write, python):
    done = write("sge", SYSTEMS["sge"][0], path="-", python=python)
    assert re.sub(r"written \d+ ", "written {0} ".format(NOW), done.stdout) == table(*SYSTEMS["sge"][1])
    assert not place.exists()


@pytest.mark.parametrize(("system", "name"), [("slurm", "squeue"), ("slurm", "scontrol"), ("pbs", "qselect"), ("pbs", "qstat"), ("sge", "qstat")])
def test_a_batch_system_without_an_answer_leaves_the_old_table(place, write, system, name):
    place.write_text("old")
    done = write(system, dict(SYSTEMS[system][0], **{name: "echo 'cannot connect' >&2; exit {0}".format(0 if name == "qselect" else 1)}))
    assert (done.returncode, place.read_text()) == (UNKNOWN, "old")
    assert "cannot connect" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_job_in_doubt_makes_the_table_incomplete(place, write):
    jobs = JOBS.replace('"n4/0"', '"n4/0","exec_host":"n1/0"')
    done = write("pbs", dict(SYSTEMS["pbs"][0], qstat="echo '{0}'".format(jobs)))
    assert done.returncode == 0
    assert re.sub(r"written \d+ ", "written {0} ".format(NOW), place.read_text()) == table(end="end 0 incomplete")
    assert "jobs were left out: qstat " in done.stderr


def test_a_user_with_too_many_nodes_takes_no_room_from_the_others(monkeypatch):
    monkeypatch.setattr(authorize, "USER_BYTES", 40)
    doubts = []
    lines = [authorize.table_line(user, names, doubts) for user, names in (("mallory", ["n{0:03}".format(at) for at in range(1000)]), ("zoe", ["c4", "c5"]))]
    assert lines == ["mallory n000 n001 n002 n003 n004 n005\n", "zoe c4 c5\n"]
    assert doubts == ["mallory has more nodes than fit into a line"]
    assert authorize.USER_BYTES * 2 < authorize.TABLE_BYTES
    assert list(authorize.table_users(table(*(line[:-1] for line in lines)), NOW)[0]) == ["mallory", "zoe"]


def test_a_file_in_the_way_of_the_new_table(place, write):
    (place.parent / "victim").write_text("mine")
    (place.parent / "table.new").symlink_to(place.parent / "victim")
    assert write("sge", SYSTEMS["sge"][0]).returncode == 0
    assert (place.parent / "victim").read_text() == "mine"
    assert not place.is_symlink()


@pytest.mark.parametrize(("shown", "group"), [
    ("GID=64816", 64816), ("GID=[not set]", None), ("GID=4294967295", None), ("GID=0", None), ("", None), ("GID=", None)])
def test_the_group_of_the_relay(program, monkeypatch, shown, group):
    """What systemd shows, since a host may hide the processes of others in /proc."""
    systemctl = program("systemctl", """#!/bin/sh
[ "$*" = "show -p GID paraview-relay.service" ] && echo '{0}'
""".format(shown))
    monkeypatch.setenv("PATH", os.path.dirname(systemctl), prepend=os.pathsep)
    assert authorize.relay_group() == group


@pytest.mark.parametrize("arguments", [
    ["write"], ["write", "slurm", "0", "-"], ["write", "slurm", "x", "-"], ["write", "lsf", "30", "-"], ["table=", "a", "1.2.3.4", "1", "2"]])
def test_usage(arguments):
    done = subprocess.run([sys.executable, str(PROGRAM)] + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr.split(b" ")[0]) == (UNKNOWN, b"usage:")
