# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login node's sshd configuration below a directory, with test accounts, evaluated by a real sshd."""

import ctypes
import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import config, policy, program, samples
from ansible_collections.sciviz.paraview.plugins.module_utils.sshd import planner as sshd_plan

TOP = Path(__file__).resolve().parents[2]
ACCOUNTS = TOP / "tests/fixtures/sshd-accounts"


def sshd_of(suite):
    """list[str]: the command of the sshd of one of the lab's generations, if its base is there."""
    root = Path("/var/lib/sciviz-paraview-lab") / suite / "root"
    libraries = [root / "lib/x86_64-linux-gnu", root / "usr/lib/x86_64-linux-gnu"]
    loader = next((path for name in ("ld-[0-9]*.so", "ld-linux-x86-64.so.2") for place in libraries for path in sorted(place.glob(name))), None)
    words = [str(loader), "--library-path", ":".join(map(str, libraries)), str(root / "usr/sbin/sshd")]
    return words if loader else pytest.fail(f"the lab has no base of {suite}")


@functools.lru_cache
def real_sshd():
    """list[str]: the command of a real sshd. The call replaces this process's passwd and group files by those of the tests, which sshd reads.

    SSHD_SUITE chooses the sshd of one of the lab's generations.
    """
    done = subprocess.run([TOP / "tests/tools/sshd"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no sshd to query: " + done.stderr.decode(errors="replace"))
    prefix = Path(done.stdout.decode().strip())
    libc = ctypes.CDLL(None, use_errno=True)
    new_mounts = 0x00020000
    if libc.unshare(new_mounts):
        pytest.fail("no namespace for mounts: " + os.strerror(ctypes.get_errno()))
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for name in ("passwd", "group"):
        subprocess.run(["mount", "--bind", prefix / name, f"/etc/{name}"], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    if os.environ.get("SSHD_SUITE"):
        return [*sshd_of(os.environ["SSHD_SUITE"]), "-h", str(prefix / "key")]
    return ["env", "LD_LIBRARY_PATH=" + (prefix / "libraries").read_text(), str(prefix / "root/usr/sbin/sshd"), "-h", str(prefix / "key")]


class Accounts(samples.Accounts):
    """The accounts of tests/fixtures/sshd-accounts, which the real sshd also reads."""

    _groups = {line.split(":")[0]: (int(line.split(":")[2]), [name for name in line.split(":")[3].split(",") if name])
               for line in (ACCOUNTS / "group").read_text().splitlines()}
    _passwd = [line.split(":") for line in (ACCOUNTS / "passwd").read_text().splitlines()]
    _users = {fields[0]: int(fields[3]) for fields in sorted(_passwd, key=lambda fields: (not 1000 <= int(fields[2]) < 60000, int(fields[2])))}

    def groups(self):
        return self._groups

    def group(self, name):
        return self._groups.get(name)

    def users(self):
        return self._users

    def ordinary(self, user):
        return self._users.get(user, 0) >= 1000 and user not in ("nobody", "sshd")


class LoginNode:
    """Configuration files below a root directory, and sshd's evaluation of them.

    Args:
        root (Path): an empty directory. path (str): the main file.
    """

    def __init__(self, root, path="/etc/ssh/sshd_config"):
        self.root, self.path = Path(root), path
        self.program = program.Program(real_sshd())

    def copy(self, tree):
        shutil.copytree(tree, self.root, symlinks=True, dirs_exist_ok=True)
        return self

    def write(self, **files):
        """Writes files by name: main, or the name of a drop-in."""
        for name, text in files.items():
            path = self.path if name == "main" else f"/etc/ssh/sshd_config.d/{name}.conf"
            target = Path(str(self.root) + path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self

    @property
    def view(self):
        return config.View(str(self.root))

    def planner(self, name="viz", **options):
        return sshd_plan.Planner(self.program, self.view, self.path, name, accounts=Accounts(), **options)

    def plan(self, name="viz", match=None, verify=(), override=True, writable=True, **options):
        requested = policy.policy(options)
        return self.planner(name, writable=writable).present(requested, policy.criteria(match), samples.named(verify), override)

    def apply(self, plan):
        """Writes the changes of a plan, without checks."""
        view = self.view
        for path, text in plan.changes.items():
            target = Path(view.real(path))
            if text is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode("utf-8", "surrogateescape"))
        return plan

    def absent(self, name="viz"):
        return self.apply(self.planner(name).absent([]))

    def files(self):
        """All files below the root with their content, and all links with their targets."""
        return {str(path.relative_to(self.root)): path.readlink() if path.is_symlink() else path.read_bytes()
                for path in self.root.rglob("*") if path.is_symlink() or path.is_file()}

    def effective(self, user="alice", **fields):
        connection = program.Connection(user, **fields)
        return self.program.effective(config.Tree(self.view, self.path), [connection])[0]

    def value(self, keyword, user="alice", **fields):
        return self.effective(user, **fields).value(keyword)
