# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login node's sshd configuration below a directory, with accounts of the tests' own, judged by a real sshd."""

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


@functools.lru_cache
def real_sshd():
    """list[str]: the command of a real sshd. From now on this process has the accounts of the tests, which sshd uses too."""
    done = subprocess.run([TOP / "tests/tools/sshd"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no sshd to query: " + done.stderr.decode(errors="replace"))
    place = Path(done.stdout.decode().strip())
    libc = ctypes.CDLL(None, use_errno=True)
    new_mounts = 0x00020000
    if libc.unshare(new_mounts):
        pytest.fail("no namespace for mounts: " + os.strerror(ctypes.get_errno()))
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for name in ("passwd", "group"):
        subprocess.run(["mount", "--bind", place / name, f"/etc/{name}"], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    return ["env", "LD_LIBRARY_PATH=" + (place / "libraries").read_text(), str(place / "root/usr/sbin/sshd"), "-h", str(place / "key")]


class Accounts(samples.Accounts):
    """Those of tests/fixtures/sshd-accounts, which the real sshd sees too."""

    _groups = {line.split(":")[0]: (int(line.split(":")[2]), [name for name in line.split(":")[3].split(",") if name])
               for line in (ACCOUNTS / "group").read_text().splitlines()}
    _users = {line.split(":")[0]: int(line.split(":")[3]) for line in (ACCOUNTS / "passwd").read_text().splitlines()}

    def groups(self):
        return self._groups

    def group(self, name):
        return self._groups.get(name)

    def users(self):
        return dict(sorted(self._users.items(), key=lambda user: user[1] < 1000))


class LoginNode:
    """Files below a root, and the values that sshd has with them.

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
        """Files by name: main, or of a drop-in."""
        for name, text in files.items():
            path = self.path if name == "main" else f"/etc/ssh/sshd_config.d/{name}.conf"
            where = Path(str(self.root) + path)
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_bytes(text if isinstance(text, bytes) else text.encode())
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
        """Writes the files of a plan, without the safety of apply.Change."""
        view = self.view
        for path, text in plan.changes.items():
            where = Path(view.real(path))
            if text is None:
                where.unlink()
                continue
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_bytes(text.encode("utf-8", "surrogateescape"))
        return plan

    def absent(self, name="viz"):
        return self.apply(self.planner(name).absent([]))

    def files(self):
        """Everything below the root: bytes of files, targets of links."""
        return {str(path.relative_to(self.root)): path.readlink() if path.is_symlink() else path.read_bytes()
                for path in self.root.rglob("*") if path.is_symlink() or path.is_file()}

    def effective(self, user="alice", **fields):
        connection = program.Connection(user, **fields)
        return self.program.effective(config.Tree(self.view, self.path), [connection])[0]

    def value(self, keyword, user="alice", **fields):
        return self.effective(user, **fields).value(keyword)
