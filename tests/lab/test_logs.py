"""The logs of a session, and a session of a preset, on a real cluster."""

import signal
import subprocess


def test_a_session_of_a_preset_and_its_logs(desk):
    done = desk.connect(route="forward_tunnel", preset="short", presets={
        "short": {"paraview_walltime": "20m", "paraview_nodes": 2, "paraview_scheduler_arguments": "--comment='a b'"}}, nodes=1)
    lines, report = desk.lines(done), desk.report()
    assert lines[0] == "preset short" and any(line.endswith("submitted: 1 node, 1 task, 0:20:00") for line in lines), lines
    assert "a b" in desk.lab.on("login", "scontrol", "show", "job", report["job_id"]).stdout
    assert " short " in desk.status().stdout
    masters = desk.masters()
    shown = desk.lines(desk.run(*desk.words("logs")))
    assert any(line.startswith("pvserver: Accepting connection(s): ") for line in shown), shown
    assert any(line.startswith("session: job ") for line in shown)
    assert str(report["connect_id"]) not in "".join(shown)
    assert desk.masters() == masters, "it did not log in"
    assert len([line for line in desk.lines(desk.run(*desk.words("logs", lines=1))) if ": " in line]) == 1

    following = desk.lab.start("workstation", *desk.words("logs", follow=True), user="alice", stdin=subprocess.DEVNULL)
    try:
        desk.client(report)
        out, _err = following.communicate(timeout=60)
    finally:
        following.send_signal(signal.SIGINT)
    assert following.returncode == 0 and "lab: pvserver: Client connected." in out, "it ends with the session"
    desk.nothing_left()
    after = desk.run(*desk.words("logs"), check=False)
    assert "were removed with" in after.stdout + after.stderr or after.returncode, after.stdout
