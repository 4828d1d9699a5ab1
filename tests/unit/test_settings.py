# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: valid values get their final form, and errors are named."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings
from ansible_collections.sciviz.paraview.plugins.module_utils.schedulers import mpi
from hypothesis import given
from hypothesis import strategies as st

DEFAULTS = {name: about["default"] for name, about in settings.SPEC.items()}
LAUNCHERS = mpi.LAUNCHERS


def check(**options):
    return settings.check(dict(DEFAULTS, **options))


def test_defaults():
    checked = check()
    assert (checked["walltime"], checked["queue_timeout"], checked["client_timeout"]) == (3600, 86400, 1200)
    assert (checked["pvserver"], checked["mpi_launcher"], checked["start_client"], checked["connect_id"]) == (["pvserver"], None, False, None)
    assert set(checked) == set(settings.SPEC)


@pytest.mark.parametrize(("name", "value", "final"), [
    ("walltime", "2h", 7200), ("walltime", "1-00:00:00", 86400), ("queue_timeout", "30m", 1800), ("client_timeout", "90s", 90),
    ("pvserver", "xvfb-run -a 'my pvserver'", ["xvfb-run", "-a", "my pvserver"]), ("pvserver", ["pvserver", "--x=$(id)", 5], ["pvserver", "--x=$(id)", "5"]),
    ("mpi_launcher", "none", []), ("mpi_launcher", "srun", LAUNCHERS["srun"]), ("mpi_launcher", "mpirun -np {tasks}", ["mpirun", "-np", "{tasks}"]),
    ("mpi_launcher", ["srun", "--mpi=pmix"], ["srun", "--mpi=pmix"]), ("mpi_launcher", None, None), ("mpi_launcher", [], []),
    ("start_client", True, True), ("start_client", "yes", True), ("start_client", "False", False), ("start_client", "", False), ("start_client", None, False),
    ("start_client", "xterm -e 'paraview $X'", ["xterm", "-e", "paraview $X"]),
    ("notify", True, True), ("notify", "on", True), ("notify", "no", False), ("notify", "", False), ("notify", "notify.sh 'my app'", ["notify.sh", "my app"]),
    ("notify", ["notify.sh", "$(id)"], ["notify.sh", "$(id)"]),
    ("connect_id", "17", 17), ("connect_id", 0, 0), ("connect_id", "Random", None),
    ("login_ports", "40000 - 40010", "40000-40010"), ("server_ports", "11111", "11111"), ("server_ports", "", ""),
    ("client_port", 65535, 65535), ("nodes", 2, 2), ("cpus_per_task", 0, 0), ("memory", "4G", "4G"), ("memory", "500MB", "500MB"), ("memory", "2048", "2048"),
    ("queue", "gpu,debug", "gpu,debug"), ("account", "p-1.x@y", "p-1.x@y"), ("modules", ["paraview/5.13.2"], ["paraview/5.13.2"]),
    ("modules", ["gcc/12", " Auto"], ["gcc/12", "auto"]), ("client_program", "~/ParaView 5/bin/paraview", "~/ParaView 5/bin/paraview"),
    ("client_program", " /Applications/ParaView-5.13.2.app ", "/Applications/ParaView-5.13.2.app"), ("client_program", "paraview-5.13", "paraview-5.13"),
    ("client_version", "6.1.1-123-gabc", "6.1.1-123-gabc"),
    ("directives", ["--qos=high", "#SBATCH --exclusive"], ["--qos=high", "#SBATCH --exclusive"]), ("setup", "a\nb 'c'", "a\nb 'c'"),
    ("route_order", ["reverse_tunnel"], ["reverse_tunnel"]), ("scheduler", "sge", "sge"), ("qos", "high", "high"), ("reservation", "r1", "r1"),
    ("constraint", "(gpu|big)&!old", "(gpu|big)&!old"), ("constraint", "gpus=2:mem>10", "gpus=2:mem>10"), ("parallel_environment", "mpi", "mpi"),
    ("exclusive", True, True), ("job_id", "530_2", "530_2"), ("job_id", "530+1", "530+1"), ("job_id", "9004[2]", "9004[2]"),
    ("job_id", "77[3].srv", "77[3].srv"), ("job_id", "4711;serial", "4711;serial"), ("job_id", "\u0192abC9", "\u0192abC9"),
    ("slurm_cluster", "serial", "serial"),
    ("mpi_launcher", "aprun", LAUNCHERS["aprun"]), ("remote_dir", " /lustre/$PROJECT/${USER} ", "/lustre/$PROJECT/${USER}"),
    ("remote_dir", "$SCRATCH", "$SCRATCH"),
])
def test_good_forms(name, value, final):
    assert check(**{name: value})[name] == final


WRONG = [
    ("walltime", "soon"), ("walltime", 3600), ("queue_timeout", 30), ("client_timeout", "20"), ("reconnect_timeout", 60),
    ("walltime", "0"), ("walltime", None), ("walltime", "9" * 400 + "h"), ("queue_timeout", "-1h"), ("client_timeout", []),
    ("client_timeout", "1:00"), ("pvserver", ""), ("pvserver", []), ("pvserver", "it's"), ("pvserver", "a\n'b\nc'"), ("pvserver", ["a\nb"]), ("pvserver", {}),
    ("pvserver", ["a\0"]), ("pvserver", [["a"]]), ("pvserver", None),
    ("mpi_launcher", "it's"), ("mpi_launcher", {"a": 1}), ("mpi_launcher", 5), ("mpi_launcher", ["a\rb"]),
    ("start_client", "it's"), ("start_client", 5), ("start_client", {"a": 1}), ("rendering", "gpu"), ("rendering", ""),
    ("notify", "it's"), ("notify", 5), ("notify", {"a": 1}), ("notify", ["a\nb"]), ("notify", [["a"]]),
    ("connect_id", "x"), ("connect_id", -1), ("connect_id", 2 ** 31),
    ("connect_id", True), ("connect_id", None), ("connect_id", "\u00b2"),
    ("login_ports", "70000"), ("login_ports", "20-10"), ("server_ports", "1,2"), ("server_ports", "x"),
    ("nodes", 0), ("nodes", -1), ("tasks_per_node", 0), ("cpus_per_task", -1), ("gpus_per_node", -1), ("client_port", -1), ("client_port", 65536),
    ("reconnect_port", 65536),
    ("queue", "a b"), ("queue", "a\n#SBATCH --x"), ("queue", "debug\n"), ("queue", "$(id)"), ("account", "a;b"), ("account", "a'"),
    ("memory", "lots"), ("memory", "4 G"), ("memory", "4G\n"), ("memory", "-4G"),
    ("qos", "a b"), ("reservation", "$(id)"), ("constraint", "a b"), ("constraint", "{nodes}"), ("constraint", "a'"), ("parallel_environment", "a\n"),
    ("client_program", "bin/paraview"), ("client_program", "~alice/paraview"), ("client_program", "para view"), ("client_program", "/opt/a\nb"),
    ("client_version", "new"), ("client_version", "5"), ("client_version", "5.13 2"),
    ("job_id", "-x"), ("job_id", "1;2;3"), ("job_id", "1;"), ("job_id", "1 2"), ("job_id", "$(id)"), ("job_id", "1;a b"), ("slurm_cluster", "all"),
    ("slurm_cluster", "a,b"), ("slurm_cluster", "-x"), ("scheduler", "cron"), ("scheduler", ""), ("scheduler", "auto\n"),
    ("directives", ["a\nb"]), ("directives", [""]), ("directives", ["  "]), ("modules", ["a\rb"]), ("modules", [""]), ("modules", ["a\0"]), ("route_order", []),
    ("remote_dir", "work"), ("remote_dir", "~/x"), ("remote_dir", "/a/../b"), ("remote_dir", "/a\nb"), ("remote_dir", "/$(id)"), ("remote_dir", "/a b"),
    ("remote_dir", "/${USER:-x}"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_named(name, value):
    with pytest.raises(SessionError) as caught:
        check(**{name: value})
    named = value[0] if name in ("directives", "modules") else value
    assert caught.value.what == "paraview_{0}: {1!r} is not valid".format(name, named)
    assert caught.value.why and "paraview_" + name in caught.value.way_out


@pytest.mark.parametrize(("options", "what"), [
    ({"mpi_launcher": "none", "tasks_per_node": 2}, "paraview_mpi_launcher: 'none' is not valid"),
    ({"scheduler": "none", "nodes": 2}, "paraview_nodes: 2 is not available"),
    ({"job_id": "17", "tasks": 30}, "paraview_job_id and paraview_tasks cannot be combined"),
    ({"scheduler": "sge", "qos": "high"}, "paraview_qos: 'high' is not available"),
    ({"scheduler": "sge", "nodes": 2}, "paraview_parallel_environment is missing"),
    ({"scheduler": "slurm", "directives": ["#PBS -q x"]}, "paraview_directives: '#PBS -q x' is not a directive of Slurm"),
    ({"schedulers": {"slurm": {"states": {"PENDING": "waiting"}}}}, "paraview_schedulers.slurm.states.PENDING: 'waiting' is not valid")])
def test_options_that_cannot_be_combined_are_refused(options, what):
    with pytest.raises(SessionError) as caught:
        check(**options)
    assert what in caught.value.what


@pytest.mark.parametrize("value", [["auto", "paraview"], ["auto", "AUTO"]])
def test_auto_is_the_last_of_the_modules(value):
    with pytest.raises(SessionError) as caught:
        check(modules=value)
    assert caught.value.what == "paraview_modules: {0!r} is not valid".format(value) and "auto may occur once" in caught.value.why


def test_a_scheduler_of_the_inventory_is_accepted():
    assert check(scheduler="mine", schedulers={"mine": {"based_on": "slurm"}})["scheduler"] == "mine"


RAW = [name for name, about in settings.SPEC.items() if about["type"] == "raw"]


@given(st.sampled_from(RAW), st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.one_of(st.text(), st.integers(), st.none())),
    st.dictionaries(st.text(), st.text())))
def test_any_value_is_accepted_or_refused_with_a_message(name, value):
    try:
        check(**{name: value})
    except SessionError as error:
        assert "paraview_" + name in error.what


@given(st.sampled_from([name for name, about in settings.SPEC.items() if about["type"] == "str" and "choices" not in about]), st.text())
def test_any_text_is_accepted_or_refused_with_a_message(name, value):
    try:
        checked = check(**{name: value})
    except SessionError as error:
        assert "paraview_" + name in error.what
    else:
        if name in ("queue", "account", "memory", "login_ports", "server_ports"):
            assert not set(checked[name]) & set(" \n\r\t'\"$`;&|<>\\#")
