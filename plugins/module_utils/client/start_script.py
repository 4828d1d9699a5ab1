# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that ParaView runs when it starts, which connects it without a dialog, and the script's messages.

The program is connect_at_start.py of the role connect. It writes its messages into the client's log.
"""

import re
import typing as t

from ..common import programs
from ..common.text import one_line

_NOTE = re.compile(r"^paraview-connect: (begun|listening|connected|refused|unable)(?: (.*))?$", re.MULTILINE)
# Messages of a ParaView whose window opens, but which cannot run the script.
_NO_PYTHON = (
    (re.compile(r"Python support not enabled"), "it was built without Python"),
    (re.compile(r"^(?:Python path configuration:|Fatal Python error)", re.MULTILINE), "its Python does not start; PYTHONHOME may point to another Python"),
)


def text(url: str, connect_id: int) -> str:
    """The script for one session.

    Args:
        url: the URL that ParaView opens, ``cs://HOST:PORT`` or ``csrc://HOST:PORT``.
        connect_id: 0 for none. The script contains it, so only the owner may be able to read the file.
    """
    program = programs.text("connect", "connect_at_start.py").rstrip("\n")
    return "{0}\n\n_connect_at_start({1}, {2:d})\ndel _connect_at_start\n".format(program, ascii(str(url)), connect_id)


def state(log: str) -> t.Tuple[str, str]:
    """The script's last reported state, and the reason for it.

    Args:
        log: ParaView's output, or its end.
    Returns:
        ``""`` if there is no report yet, ``begun``, ``listening``, ``connected``; ``refused`` if ParaView tried to connect and failed;
        ``unable`` if this ParaView cannot run the script.
    """
    notes = _NOTE.findall(log)
    if notes:
        return notes[-1][0], one_line(notes[-1][1])
    return next((("unable", why) for pattern, why in _NO_PYTHON if pattern.search(log)), ("", ""))
