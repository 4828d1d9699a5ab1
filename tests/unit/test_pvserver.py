# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ParaView's command lines and output."""

import re

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import pvserver
from hypothesis import given
from hypothesis import strategies as st

FORWARD = ["Waiting for client...", "Connection URL: cs://c101:11111", "Accepting connection(s): c101:11111", "Client connected."]
REVERSE = ["Connecting to client (reverse connection requested)...", "Connection URL: csrc://login:22222", "Client connected."]


def _status(lines):
    status = pvserver.Status()
    for line in lines:
        status.read(line)
    return status.accepting, status.connecting, status.connected


def test_forward_status():
    assert _status(FORWARD[:2]) == (None, False, False)
    assert _status(FORWARD[:3]) == (("c101", 11111), False, False)
    assert _status(FORWARD) == (("c101", 11111), False, True)


def test_reverse_status():
    assert _status(REVERSE[:2]) == (None, True, False)
    assert _status(REVERSE) == (None, True, True)


def test_the_port_is_read_from_the_accepting_line():
    assert _status(["Connection URL: cs://c101:0", "Accepting connection(s): c101.site.edu:40123\r\n"])[0] == ("c101.site.edu", 40123)


@pytest.mark.parametrize("line", [
    "Accepting connection(s): c101:0", "Accepting connection(s): c101:65536", "Accepting connection(s): c101:", "Accepting connection(s): :5",
    "Accepting connection(s): -oProxyCommand=x:5", "Accepting connection(s): a b:5", "Accepting connection(s): $(id):5",
    "Accepting connection(s): c101:5 x", "x Accepting connection(s): c101:5"])
def test_malformed_endpoints_are_ignored(line):
    assert _status([line])[0] is None


@given(st.text(), st.sampled_from(["", "Accepting connection(s): ", "Client"]))
def test_no_line_is_an_error(text, before):
    accepting = _status([before + text])[0]
    assert accepting is None or re.match(r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z", accepting[0])


@pytest.mark.parametrize("line", [*FORWARD, *REVERSE, "Exiting..."])
def test_the_job_forwards_every_status_line(line, script):
    assert script("grep -aE '{0}' <<'E'\n{1}\nsomething else\nE\n".format(pvserver.STATUS_LINES, line))[1] == line + "\n"


def test_arguments():
    assert pvserver.forward_arguments(0, 17) == ["--server-port=0", "--connect-id=17"]
    assert pvserver.forward_arguments("11111-11120", 0) == ["--server-port=11111-11120"]
    assert pvserver.reverse_arguments("10.0.0.2", 41233, 17) == [
        "--reverse-connection", "--client-host=10.0.0.2", "--server-port=41233", "--connect-id=17"]
    for command in (pvserver.script_command, lambda path: pvserver.client_command(path, "a")):
        with pytest.raises(SessionError, match="/a,b/client") as caught:
            command("/a,b/client")
        assert "paraview_state_dir" in caught.value.way_out
    assert pvserver.script_command("/x y/client.py", "/opt/paraview") == ["/opt/paraview", "--script=/x y/client.py"]
    assert pvserver.client_command("/x/client.pvsc", "a b") == ["paraview", "--servers-file=/x/client.pvsc", "--server=a b"]
    assert pvserver.client_environment("cs://127.0.0.1:5", 5, 17) == {
        "PV_CONNECTION_URI": "cs://127.0.0.1:5", "PV_SERVER_PORT": "5", "PV_CONNECT_ID": "17"}


def test_urls():
    assert (pvserver.url(False, 40123), pvserver.url(True, 40123)) == ("cs://127.0.0.1:40123", "csrc://127.0.0.1:40123")


def test_paraview_accepts_new_connect_ids():
    drawn = {pvserver.new_connect_id() for _number in range(100)}
    assert len(drawn) > 90
    assert all(pvserver.parse_connect_id(one) == one > 0 for one in drawn)


@pytest.mark.parametrize(("value", "number"), [(0, 0), ("17", 17), (" 17 ", 17), (2 ** 31 - 1, 2147483647)])
def test_connect_ids_of_the_users_own(value, number):
    assert pvserver.parse_connect_id(value) == number


@pytest.mark.parametrize("value", [-1, 2 ** 31, "", "x", "1.5", True, None, "0x10", "\u00b2", "9" * 5000])
def test_invalid_connect_ids_are_refused(value):
    with pytest.raises(ValueError, match="is no connect-id"):
        pvserver.parse_connect_id(value)


def test_a_pvserver_that_prints_its_address_again_is_one():
    line = "Accepting connection(s): c101:11111"
    assert pvserver.Status.of([line, line]).servers == 1
    assert pvserver.Status.of([line, "Accepting connection(s): c101:11112"]).servers == 2
