# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening sockets, their owners, and free ports."""

import os
import socket

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common import listeners
from ansible_collections.sciviz.paraview.plugins.module_utils.common.listeners import Listener
from hypothesis import given
from hypothesis import strategies as st

PROC = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2B67 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 43214 1 0000000000000000 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0
   2: 0200000A:2B67 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 43215 1 0000000000000000 100 0 0 10 0
   3: 0100007F:0016 0100007F:D431 01 00000000:00000000 02:000AF0F8 00000000     0        0 43216 2 0000000000000000 20 4 30 10 -1
"""


@pytest.fixture(name="listening")
def _listening():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        yield listener.getsockname()[1]


def test_listeners_are_read_and_connections_are_not():
    assert listeners.parse(PROC) == [
        Listener("127.0.0.1", 11111, 1000), Listener("0.0.0.0", 22, 0), Listener("10.0.0.2", 11111, 1001)]


@given(st.one_of(st.text(), st.text("0123456789AF: x-\u00b2").map("0: 0100007F:0016 00000000:0000 0A 0 0 0 {0}".format)))
def test_odd_text_raises_no_error(text):
    for listener in listeners.parse(text):
        assert 0 <= listener.port <= 65535


def test_a_connection_reaches_the_most_specific_listener():
    wide, narrow = Listener("0.0.0.0", 5, 1), Listener("10.0.0.2", 5, 2)
    others = [Listener("10.0.0.3", 5, 3), Listener("10.0.0.2", 6, 4)]
    assert listeners.covering([wide, *others, narrow], "10.0.0.2", 5) == [narrow, wide]
    assert listeners.covering(others, "10.0.0.2", 5) == []


def test_parse_reads_the_output_of_the_login_nodes_script(listening, script):
    code, out, _err = script(listeners.SCRIPT)
    assert code == 0
    assert Listener("127.0.0.1", listening, os.getuid()) in listeners.parse(out)


def test_the_owner_of_a_port(listening):
    assert listeners.local_owner(listening) == os.getuid()
    assert listeners.local_owner(listeners.free_port()) is None


def test_without_proc_a_port_in_use_is_still_detected(listening, monkeypatch):
    monkeypatch.setattr(listeners, "local", lambda: None)
    assert listeners.local_owner(listening) == -1
    assert listeners.local_owner(listeners.free_port()) is None


@pytest.mark.parametrize(("text", "ports"), [("11111-11120", (11111, 11120)), (" 1 - 65535 ", (1, 65535)), ("22", (22, 22)), (22, (22, 22))])
def test_ranges(text, ports):
    assert listeners.parse_range(text) == ports


@pytest.mark.parametrize("text", ["", "0", "65536", "20-10", "1-2-3", "a-b", "-5", "1,2", "1-70000", None, "1.5"])
def test_invalid_ranges(text):
    with pytest.raises(ValueError, match="is not a range of ports"):
        listeners.parse_range(text)


@given(st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(sorted), st.integers(1, 50))
def test_ports_to_try_are_in_the_range_and_differ(ports, most):
    tried = listeners.shuffled(ports, most)
    assert len(tried) == len(set(tried)) == min(most, ports[1] - ports[0] + 1)
    assert all(ports[0] <= port <= ports[1] for port in tried)
