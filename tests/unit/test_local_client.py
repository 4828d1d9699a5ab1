# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client that connect starts."""

import os
import stat

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.client import local
from ansible_collections.sciviz.paraview.plugins.module_utils.common import processes
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError


def test_a_client(program, tmp_path, until):
    log = tmp_path / "client.log"
    log.write_text("an old one\n")
    path = program("paraview", '#!/bin/sh\necho "$PV_CONNECT_ID" "$@" "$HOME"\necho trouble >&2\nexec sleep 1000\n')
    identity = local.start([path, "--server-url=cs://127.0.0.1:5", "a b $(id)"], {"PV_CONNECT_ID": "17"}, str(log))
    try:
        output = "17 --server-url=cs://127.0.0.1:5 a b $(id) {0}\ntrouble\n".format(os.environ["HOME"])
        until(lambda: local.last_words(str(log)) == output)
        assert processes.alive(identity)
        assert os.getsid(identity[0]) == identity[0] != os.getsid(0)
    finally:
        processes.end(identity)
    assert not processes.alive(identity)


def test_a_new_log_is_private(tmp_path, until):
    log = tmp_path / "client.log"
    identity = local.start(["true"], {}, str(log))
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert processes.wait_gone(identity, 10)


@pytest.mark.parametrize("command", ["/no/such/paraview", "no-such-paraview", "/"])
def test_a_client_that_does_not_exist(tmp_path, command):
    with pytest.raises(SessionError, match=repr(command)) as caught:
        local.start([command], {}, str(tmp_path / "log"))
    assert caught.value.why and "paraview_start_client" in caught.value.way_out


def test_last_words(tmp_path):
    assert local.last_words(str(tmp_path / "nothing")) == ""
    (tmp_path / "log").write_bytes(b"x" * 9000 + b"\xffthe end")
    assert local.last_words(str(tmp_path / "log")).endswith("\ufffdthe end")
    assert len(local.last_words(str(tmp_path / "log"))) <= 4000
