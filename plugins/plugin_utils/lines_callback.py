# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the stdout callback sciviz.paraview.lines shows sessions and errors, so that no action needs to.

The callback sets this in the process of the playbook. That process forks a worker for each task, so the actions find what was set before their tasks began.
"""

import typing as t

_shown: t.Set[str] = set()
_active = False


def activate() -> None:
    """The callback is the playbook's stdout callback: it shows the errors of the actions."""
    global _active
    _active = True


def active() -> bool:
    """Whether the callback shows the errors of the actions."""
    return _active


def add(directory: str) -> None:
    """The callback shows the session in a directory."""
    _shown.add(directory)


def remove(directory: str) -> None:
    """The callback does not show the session in a directory any more."""
    _shown.discard(directory)


def shows(directory: str) -> bool:
    """Whether the callback shows the session in a directory."""
    return directory in _shown
