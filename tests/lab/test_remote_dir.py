"""Compute nodes that do not have the home, have it read-only, or have it full; and a /scratch that login node and nodes share."""

import pytest

NODES = ("compute1", "compute2")
# What a node does to the home, and what undoes it. With the overlay the session's directory is there, and nothing can be written to it.
HOMES = {
    "missing": ("mount -t tmpfs -o mode=755 none /home", "umount /home"),
    "read-only": ("mount --bind /home /home && mount -o remount,bind,ro /home", "umount /home"),
    "full": ("mkdir -p /run/full && mount -t tmpfs -o size=16k none /run/full && mkdir /run/full/up /run/full/work && "
             "mount -t overlay -o lowerdir=/home,upperdir=/run/full/up,workdir=/run/full/work none /home && "
             "{ head -c 100000 /dev/zero > /run/full/fill; } 2>/dev/null || :", "umount /home; umount /run/full"),
}


@pytest.fixture(name="homes")
def _homes(desk):
    """Changes the home of the nodes, until the test ends."""
    repairs = []

    def change(kind):
        for node in NODES:
            repairs.append((node, HOMES[kind][1]))
            desk.lab.on(node, "sh", "-c", HOMES[kind][0])

    yield change
    desk.clean_up()
    for node, repair in repairs:
        desk.lab.on(node, "sh", "-c", repair)


@pytest.fixture(name="profile")
def _profile(desk):
    """Adds lines to the start-up file of alice's login shell."""
    desk.lab.on("login", "sh", "-c", "touch .bash_profile; cp .bash_profile kept", user="alice")
    yield lambda text: desk.lab.on("login", "sh", "-c", "cat >> .bash_profile", user="alice", input=text)
    desk.lab.on("login", "mv", "kept", ".bash_profile", user="alice")


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.torture if kind == "read-only" else ()) for kind in HOMES])
def test_a_home_to_which_the_nodes_cannot_write(desk, homes, kind):
    homes(kind)
    done = desk.connect(check=False)
    assert done.returncode != 0
    text = "\n".join(desk.lines(done))
    for words in ("cannot write to /home/alice/.paraview-connect/", " on compute", "set paraview_remote_dir to"):
        assert words in text, text
    desk.nothing_left()
    # Mesa's cache of shaders lets pvserver die where the home is full.
    desk.connect(remote_dir="/scratch", route="forward_tunnel", setup="export MESA_SHADER_CACHE_DISABLE=true MESA_GLSL_CACHE_DISABLE=true")
    directory = desk.record()["remote_directory"]
    assert directory.startswith("/scratch/.paraview-connect-20001/")
    assert desk.lab.on("login", "stat", "-c", "%a %U", "/scratch/.paraview-connect-20001", directory).stdout.split() == ["700", "alice"] * 2
    assert desk.lab.on("login", "ls", directory, user="bob", check=False).returncode != 0
    desk.status()
    assert desk.report()["state"] == "ready"
    desk.client(desk.report())
    desk.told_over()
    desk.nothing_left()


def test_names_of_the_login_shell(desk, homes, profile):
    """The start-up file prints text that looks like an answer."""
    homes("missing")
    profile("echo SCRATCH=/evil\nprintf '\\n==SCRATCH /evil\\n'\nSCRATCH=/scratch/$USER\nread -r answer\n")
    desk.lab.on("login", "install", "-d", "-o", "alice", "-m", "755", "/scratch/alice")
    try:
        desk.connect(remote_dir="${SCRATCH}", route="forward_tunnel")
        assert desk.record()["remote_directory"].startswith("/scratch/alice/.paraview-connect-20001/")
        desk.disconnect()
        assert desk.lab.on("login", "ls", "-A", "/scratch/alice").stdout == ""
    finally:
        desk.lab.on("login", "rm", "-rf", "/scratch/alice")


@pytest.mark.parametrize(("value", "words"), [
    ("$NOWHERE/x", "$NOWHERE is not set"), ("/scratch/nowhere", "No such file or directory"), ("/scratch/../home", "contains .."),
    ("scratch", "begin with /"), ("/$(touch /tmp/ran)", "behind $")])
def test_a_value_that_is_refused(desk, value, words):
    done = desk.connect(remote_dir=value, check=False)
    what, why, _way_out = desk.lines(done)[-3:]
    assert value in what and words in why and not desk.left()
    assert desk.lab.on("login", "ls", "/tmp/ran", check=False).returncode != 0


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_another_account_has_made_the_directory_first(desk, kind):
    make = {"directory": "mkdir -m 777 /scratch/.paraview-connect-20001", "link": "ln -s /tmp /scratch/.paraview-connect-20001"}[kind]
    desk.lab.on("login", "sh", "-c", make, user="bob")
    try:
        done = desk.connect(remote_dir="/scratch", check=False)
        assert "is a link or belongs to another account" in "\n".join(desk.lines(done))
        assert not desk.jobs()
    finally:
        desk.lab.on("login", "rm", "-rf", "/scratch/.paraview-connect-20001")


def test_a_directory_that_others_can_replace(desk):
    desk.lab.on("login", "sh", "-c", "mkdir /scratch/open && chmod 777 /scratch/open && install -d -o alice /scratch/open/alice")
    try:
        for path in ("/scratch/open", "/scratch/open/alice"):
            assert "chmod +t" in "\n".join(desk.lines(desk.connect(remote_dir=path, check=False)))
    finally:
        desk.lab.on("login", "rm", "-rf", "/scratch/open")


def test_the_doctor_tries_it_on_a_node(desk, homes):
    homes("missing")
    for settings, result in (({}, "failed"), ({"remote_dir": "/scratch"}, "ok")):
        desk.run(*desk.words("doctor", test_job=True, **settings), check=False)
        checks = {one["name"]: one for one in desk.report()["checks"]}
        assert checks["job"]["result"] == result, checks["job"]
    assert checks["remote directory"]["result"] == "ok"
    desk.nothing_left()
