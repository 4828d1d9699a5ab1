# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that ParaView runs as it starts, which connects it without a question, and what is learned of it.

The program is connect_at_start.py of the role connect. What it has to say it writes into the client's log.
"""

import re
import typing as t

from ..common import programs
from ..common.text import one_line

_NOTE = re.compile(r"^paraview-connect: (begun|listening|connected|refused|unable)(?: (.*))?$", re.MULTILINE)
# What a ParaView prints whose window opens and whose script does not run.
_NO_PYTHON = (
    (re.compile(r"Python support not enabled"), "it was built without Python"),
    (re.compile(r"^(?:Python path configuration:|Fatal Python error)", re.MULTILINE), "its Python does not start; PYTHONHOME may lead to another one"),
)


def text(url: str, connect_id: int) -> str:
    """The script for one session.

    Args:
        url: what ParaView opens, ``cs://HOST:PORT`` or ``csrc://HOST:PORT``.
        connect_id: 0 for none. It stands in the script, so the file has to be readable by its owner alone.
    """
    program = programs.text("connect", "connect_at_start.py").rstrip("\n")
    return "{0}\n\n_connect_at_start({1}, {2:d})\ndel _connect_at_start\n".format(program, ascii(str(url)), connect_id)


def state(log: str) -> t.Tuple[str, str]:
    """How far the script has come, and why not farther.

    Args:
        log: what ParaView printed, or its end.
    Returns:
        ``""`` where nothing is known yet, ``begun``, ``listening``, ``connected``; ``refused`` where ParaView tried and is not connected;
        ``unable`` where this ParaView cannot run the script.
    """
    notes = _NOTE.findall(log)
    if notes:
        return notes[-1][0], one_line(notes[-1][1])
    return next((("unable", why) for pattern, why in _NO_PYTHON if pattern.search(log)), ("", ""))
