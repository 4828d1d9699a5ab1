# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pauses between attempts to log in again.

If a login node restarts, all its sessions lose their connection at the same moment. Chance spreads their attempts from the first one on, and the pauses grow,
so that sshd does not have to drop logins (MaxStartups, sshd_config(5)).
"""

import os
import typing as t

# Seconds within which the first attempt begins.
_FIRST = 3.0
# The pause is this part of the loss so far, at least the second and at most the third value.
_PART, _SHORT, _MEDIUM = 1 / 6, 1.5, 10.0
# After a longer loss, as that of a login node that restarts, it is this part, and at most so long.
_LATER_PART, _LONG = 1 / 10, 60.0


def chance() -> float:
    """A random number from 0 to 1; the random module would stay in the daemon's memory."""
    return int.from_bytes(os.urandom(2), "big") / 65535


def spread(pause: float, draw: t.Callable[[], float] = chance) -> float:
    """A pause in seconds that is up to a half shorter or longer.

    Args:
        pause: in seconds.
        draw: returns a random number from 0 to 1.
    """
    return pause * (0.5 + draw())


def before_first(draw: t.Callable[[], float] = chance) -> float:
    """Seconds from the loss to the first attempt. Argument as of spread()."""
    return _FIRST * draw()


def before_next(lost_for: float, draw: t.Callable[[], float] = chance) -> float:
    """Seconds to the next attempt.

    Args:
        lost_for: seconds since the loss.
        draw: as of spread().
    """
    return spread(min(_LONG, max(_SHORT, min(_MEDIUM, _PART * lost_for), _LATER_PART * lost_for)), draw)
