# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single-file programs without a suffix, for the tests: as a module, and as a process."""

import functools
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

PATIENCE = 15


@functools.lru_cache(maxsize=None)
def loaded(path):
    """Imports a program as a module."""
    name = Path(path).name.replace("-", "_")
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


class Running:
    """A running program; subclasses have process, pid and log."""

    def cpu_s(self):
        fields = Path("/proc/{0}/stat".format(self.pid)).read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self.process.stdout.close()
        assert "Traceback" not in self.log, self.log
        return self.process.returncode
