"""The recordings in docs/docsite/rst/images: connect with three hosts, of which one waits, under Ansible's own output and under the collection's."""

import json
import subprocess
import sys
from pathlib import Path

from record import HERE, Recording

sys.path.insert(0, str(HERE.parent / "lab"))

from conftest import Lab  # noqa: E402
from desk import Desk  # noqa: E402

IMAGES = HERE.parents[1] / "docs/docsite/rst/images"
HOSTS = ("frontera", "hopper", "mare")
CALLBACKS = {"default": "ansible.builtin.default", "lines": "sciviz.paraview.lines"}
# Jobs of another user that leave room for two, and end some seconds later.
OTHERS = ("sbatch", "--parsable", "-n", "1", "-o", "/dev/null", "--wrap", "sleep {0}")


def busy(lab):
    """Two of the four places are taken for a while."""
    for seconds in ("25", "600"):
        lab.on("login", *(word.format(seconds) for word in OTHERS), user="bob")


def main():
    lab = Lab()
    lab.up()
    desk = Desk(lab)
    desk.clean_up()
    hosts = {name: {"ansible_host": "login.lab.example", "paraview_pvserver": "xvfb-run -a -s -noreset pvserver"} for name in HOSTS}
    lab.on("workstation", "sh", "-c", "cat > clusters.yml", user="alice", input=json.dumps({"all": {"children": {"clusters": {"hosts": hosts}}}}))
    try:
        for name, callback in CALLBACKS.items():
            busy(lab)
            recording = Recording()
            status = recording.take(["env", f"ANSIBLE_STDOUT_CALLBACK={callback}", "ANSIBLE_INVENTORY=clusters.yml", "ansible-playbook",
                                     "sciviz.paraview.connect", "-e", "host=clusters"])
            if status:
                raise SystemExit(f"connect under {callback} ended with {status}")
            path = IMAGES / f"connect_{name}.svg"
            path.write_text(recording.svg(f"connect to three clusters, shown by {callback}"))
            print(f"{path.relative_to(Path.cwd())}: {len(recording.frames)} frames, {path.stat().st_size // 1024} kB")
            desk.run("ansible-playbook", "-i", "clusters.yml", "sciviz.paraview.disconnect", "-e", "host=clusters")
            lab.on("login", "scancel", "-u", "bob")
    finally:
        lab.on("login", "scancel", "-u", "bob")
        lab.on("workstation", "rm", "-f", "clusters.yml", user="alice")
        desk.clean_up()


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{error}\n{error.stdout}\n{error.stderr}")
