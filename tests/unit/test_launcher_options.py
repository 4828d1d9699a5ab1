# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the launcher."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings
from ansible_collections.sciviz.paraview.plugins.module_utils.launcher import options
from hypothesis import given
from hypothesis import strategies as st


def read(*arguments, preset=None, **environment):
    return options.read(options.parser().parse_args(list(arguments)), environment, preset or {})


def test_environment_and_command_line_have_the_same_options():
    line = read("forward", "--port", "11111", "--connect-id", "17", "--version", "5.11.0", "--nodes", "2", "--walltime", "0:30:00", "--queue=viz",
                "--idle", "5m")
    sent = read("forward", port="11111", connect_id="17", version="5.11.0", nodes="2", walltime="0:30:00", queue="viz", idle="5m")
    assert vars(line) == vars(sent)
    assert (sent.port, sent.connect_id, sent.version) == (11111, 17, "5.11.0")
    assert (sent.job["nodes"], sent.job["walltime"], sent.job["queue"], sent.job["client_timeout"]) == (2, 1800, "viz", 300)


def test_the_command_line_overrides_the_environment_and_that_the_site():
    preset = {"walltime": "10m", "queue": "site", "qos": "site"}
    job = read("reverse", "--walltime", "30m", preset=preset, port="11111", walltime="20m", queue="mine").job
    assert (job["walltime"], job["queue"], job["qos"]) == (1800, "mine", "site")


def test_an_empty_option_is_no_option():
    empty = read("reverse", port="11111", **dict.fromkeys(options.JOB_OPTIONS, ""), connect_id="", version=" ")
    assert empty.job == read("reverse", port="11111").job
    assert empty.job == settings.check({name: about["default"] for name, about in settings.SPEC.items()})


def test_every_option_is_a_setting_of_a_session():
    assert {options._setting(name) for name in options.JOB_OPTIONS} < set(settings.SPEC)


def test_kinds_of_values():
    job = read("reverse", port="11111", exclusive="yes", modules="a b/1", directives="--x=1\n\n--y", setup="export A=1\nb").job
    assert (job["exclusive"], job["modules"], job["directives"], job["setup"]) == (True, ["a", "b/1"], ["--x=1", "--y"], "export A=1\nb")


def test_a_directory_is_named_like_the_option():
    assert read("reverse", "--remote-dir", "/lustre/$USER", port="11111").job["remote_dir"] == "/lustre/$USER"
    with pytest.raises(SessionError) as caught:
        read("reverse", port="11111", remote_dir="/lustre/..")
    assert options.with_option_names(caught.value.what).startswith("--remote-dir: '/lustre/..'")


def test_the_options_are_removed_from_the_environment():
    environment = {"LC_PARAVIEW_PORT": "1", "LC_PARAVIEW_CONNECT_ID": "2", "LC_ALL": "C", "PATH": "/bin"}
    assert options.taken_from(environment) == {"port": "1", "connect_id": "2"}
    assert environment == {"LC_ALL": "C", "PATH": "/bin"}


def test_a_missing_port_is_reported_with_its_cause():
    with pytest.raises(SessionError) as caught:
        read("forward", connect_id="1")
    assert caught.value.lines() == [
        "no port is given", "sshd here does not accept LC_PARAVIEW_PORT (AcceptEnv), or your ssh does not send it",
        "ask the site for AcceptEnv LC_PARAVIEW_*, or give it on the command line: paraview-launch forward --port N"]


@pytest.mark.parametrize(("option", "reported"), [
    ({"port": "80"}, "port"), ({"port": "-1"}, "port"), ({"port": "65536"}, "port"), ({"port": "1e4"}, "port"), ({"port": "１１１１１"}, "port"),
    ({"connect_id": "0x1"}, "connect-id"), ({"connect_id": "2147483648"}, "connect-id"), ({"version": "5.11;id"}, "version"), ({"version": "$(id)"}, "version"),
    ({"nodes": "0"}, "nodes"), ({"nodes": "two"}, "nodes"), ({"nodes": "1 --x"}, "nodes"), ({"queue": "viz;id"}, "queue"), ({"queue": "a b"}, "queue"),
    ({"queue": "viz\nx"}, "queue"), ({"account": "`id`"}, "account"), ({"memory": "4G;"}, "memory"), ({"walltime": "soon"}, "walltime"),
    ({"constraint": "a'b"}, "constraint"), ({"exclusive": "maybe"}, "exclusive"), ({"scheduler": "cron"}, "scheduler"), ({"pvserver": "'"}, "pvserver"),
    ({"server_ports": "1"}, None), ({"idle": "-1"}, "idle")])
def test_values_that_are_not_valid(option, reported):
    values = dict({"port": "11111", "connect_id": "5"}, **option)
    if reported is None:
        read("reverse", **values)
        return
    with pytest.raises(SessionError) as caught:
        read("reverse", **values)
    lines = [options.with_option_names(line) for line in caught.value.lines()]
    assert lines[0].startswith("--{0}: ".format(reported))
    assert "paraview_" not in "".join(lines) and "-e " not in "".join(lines)


@given(st.text(max_size=30))
def test_any_value_is_accepted_or_refused(text):
    for name in list(options.JOB_OPTIONS) + ["port", "connect_id", "version"]:
        try:
            read("reverse", **dict({"port": "11111"}, **{name: text}))
        except SessionError as error:
            assert len(error.lines()) == 3


def test_a_wrong_connect_id_is_not_shown():
    with pytest.raises(SessionError) as caught:
        read("reverse", port="11111", connect_id="123456789012")
    assert "123456789012" not in str(caught.value)


def test_a_forward_needs_a_connect_id():
    for none in ("", "0"):
        with pytest.raises(SessionError, match="no connect-id is given"):
            read("forward", port="11111", connect_id=none)
    assert read("reverse", port="11111").connect_id == 0


@pytest.mark.parametrize(("line", "left", "found"), [
    (["forward", "--connect-id", "5", "--port", "1"], ["forward", "--port", "1"], "5"), (["forward", "--connect-id=5"], ["forward"], "5"),
    (["forward", "--connect-id"], ["forward", "--connect-id"], ""), (["about"], ["about"], "")])
def test_a_command_line_without_its_connect_id(line, left, found):
    assert options.without_connect_id(line) == (left, found)


@pytest.mark.parametrize("line", [["reverse", "--nosuch"], [], ["sideways"], ["reverse", "--leave"], ["reverse", "--por", "11111"]])
def test_a_wrong_command_line_is_an_error_of_three_lines(line):
    with pytest.raises(SessionError) as caught:
        options.parser().parse_args(line)
    assert len(caught.value.lines()) == 3


def test_the_sites_defaults_are_checked():
    preset = {"walltime": "30m", "nodes": 2, "schedulers": {"ours": {"based_on": "slurm"}}, "scheduler": "ours"}
    assert options.preset(preset) == preset
    assert read("reverse", preset=preset, port="11111").job["scheduler"] == "ours"
    with pytest.raises(SessionError, match="'client_port' is not an option of the launcher"):
        options.preset({"client_port": 1})
    with pytest.raises(SessionError, match="paraview_nodes"):
        options.preset({"nodes": "many"})
