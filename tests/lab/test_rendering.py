"""What pvserver draws through, on real nodes and with the lab's own ParaView."""

import pytest
from test_connect import rendered_on_a_node
from test_doctor import look

XVFB = ["xvfb-run", "-a", "-s", "-noreset", "pvserver"]


def chooses(lab):
    """Whether the lab's ParaView chooses by itself when it draws; older ones of the lab draw through a display alone."""
    return int(lab.paraview.partition(".")[0]) >= 6


def found(desk, **settings):
    """What doctor's job found of the renderer."""
    seen, done = look(desk, test_job=True, **settings)
    assert not desk.left()
    return seen["renderer"], done


def pvservers(desk, node):
    """alice's processes on a node that start pvserver or are it."""
    return [line for line in desk.processes(node) if "pvserver" in line and "pvserver.sh" not in line]


def test_a_plain_pvserver_draws(desk, lab):
    """Nothing is said of a display, and it has one where it needs one, and only there."""
    done = desk.connect(route="forward_tunnel", pvserver="pvserver")
    report = desk.report()
    told = [line for line in desk.lines(done) if "xvfb-run" in line]
    under_xvfb = [line for line in pvservers(desk, report["nodes"][0]) if "xvfb-run" in line]
    assert bool(told) == bool(under_xvfb) == (not chooses(lab))
    rendered_on_a_node(desk.client(report).stdout, report)
    desk.nothing_left()


def test_each_rank_of_a_plain_pvserver_draws(desk, lab):
    desk.connect(route="forward_tunnel", pvserver="pvserver", nodes=2)
    report = desk.report()
    assert len(report["nodes"]) == 2
    for node in report["nodes"]:
        assert any("xvfb-run" in line for line in pvservers(desk, node)) != chooses(lab)
    rendered_on_a_node(desk.client(report).stdout, report)
    desk.nothing_left()


@pytest.mark.torture
def test_a_display_of_the_login_nodes_is_none_on_a_node(desk, lab):
    desk.connect(route="forward_tunnel", pvserver="pvserver", setup="export DISPLAY=localhost:10.0")
    report = desk.report()
    rendered_on_a_node(desk.client(report).stdout, report)
    desk.nothing_left()


@pytest.mark.parametrize("rendering", ["egl", "osmesa", "glx"])
def test_what_cannot_be_had_is_an_error_before_pvserver_starts(desk, lab, rendering):
    if chooses(lab) and rendering == "egl":
        desk.connect(route="forward_tunnel", pvserver="pvserver", rendering="egl")
        report = desk.report()
        rendered_on_a_node(desk.client(report).stdout, report)
        desk.nothing_left()
        return
    done = desk.connect(pvserver="pvserver", rendering=rendering, check=False)
    assert done.returncode != 0
    assert "cannot draw with paraview_rendering: " + rendering in done.stdout
    assert ("or leave it at auto" if rendering == "glx" else "leave paraview_rendering at auto") in done.stdout
    assert ("DISPLAY is empty" if rendering == "glx" else "libOSMesa" if chooses(lab) else "built for GLX alone") in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert desk.report()["state"] == "failed"
    assert not desk.left()


def test_a_display_by_name(desk, lab):
    desk.connect(route="forward_tunnel", pvserver="pvserver", rendering="xvfb")
    report = desk.report()
    assert any("xvfb-run" in line for line in pvservers(desk, report["nodes"][0]))
    rendered_on_a_node(desk.client(report).stdout, report)
    desk.nothing_left()


def test_the_doctor_says_what_draws(desk, lab):
    renderer, done = found(desk, pvserver="pvserver")
    assert (renderer["hop"], renderer["result"]) == ("node", "ok")
    assert renderer["said"] == ("EGL" if chooses(lab) else "GLX under Xvfb") + ", llvmpipe (software)"
    assert any(line.startswith("ok           renderer ") for line in desk.lines(done))


def test_the_doctor_looks_through_a_wrapper(desk):
    renderer, _done = found(desk, pvserver=XVFB)
    assert (renderer["result"], renderer["said"]) == ("ok", "GLX under Xvfb, llvmpipe (software)")


def test_the_doctor_names_what_keeps_pvserver_from_drawing(desk, lab):
    """A pvserver without a display, in front of which something stands, so that it is left alone."""
    renderer, _done = found(desk, pvserver=["env", "-u", "DISPLAY", "VTK_DEFAULT_OPENGL_WINDOW=vtkOSOpenGLRenderWindow", "pvserver"])
    assert (renderer["result"], renderer["who"]) == ("failed", "you")
    assert ("OSMesa" if chooses(lab) else "GLX, without a display") in renderer["cause"]
    assert "paraview_rendering" in renderer["way_out"]
