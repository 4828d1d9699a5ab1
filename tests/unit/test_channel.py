# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to a session's daemon."""

import json
import socket
import threading

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.ssh.channel import Channel, ChannelLost


@pytest.fixture(name="answering")
def _answering(short_path):
    """A channel to a daemon that answers one request with some bytes; the request is in `requests`."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(short_path / "s"))
    listener.listen(1)
    threads, requests = [], []

    def make(answer):
        def serve():
            connection = listener.accept()[0]
            with connection, connection.makefile("rb") as stream:
                requests.append(json.loads(stream.readline().decode()))
                connection.sendall(answer)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        channel = Channel(str(short_path / "s"), "lab")
        channel.requests = requests
        return channel

    yield make
    for thread in threads:
        thread.join()
    listener.close()


def test_a_script(answering):
    channel = answering(json.dumps({"code": 3, "out": "o" * 200000, "err": "caf\u00e9"}).encode())
    assert channel.script("echo $x\n", 7) == (3, "o" * 200000, "caf\u00e9")
    assert channel.requests == [{"op": "run", "script": "echo $x\n", "seconds": 7}]


@pytest.mark.parametrize(("answer", "why"), [
    (b"", "ended"), (b'{"lost": "Timeout, server not responding."}', "not responding"), (b'{"lost": ""}', "ssh ended")])
def test_a_lost_connection(answering, answer, why):
    with pytest.raises(ChannelLost, match="connection to lab is lost") as caught:
        answering(answer).script("true")
    assert why in caught.value.why and "connect again" in caught.value.way_out


def test_a_failed_request_is_an_error(answering):
    with pytest.raises(SessionError) as caught:
        answering(b'{"error": "what went wrong"}').script("true")
    assert "what went wrong" in str(caught.value)


def test_a_missing_daemon(short_path):
    with pytest.raises(ChannelLost):
        Channel(str(short_path / "s"), "lab").request("messages")
    (short_path / "s").write_text("")
    with pytest.raises(ChannelLost):
        Channel(str(short_path / "s"), "lab").request("messages")


def test_a_daemon_that_does_not_answer(short_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short_path / "s"))
        listener.listen(1)
        with pytest.raises(ChannelLost, match="timed out"):
            Channel(str(short_path / "s"), "lab").request("messages", wait=0.1)
