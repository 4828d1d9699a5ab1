# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens if something takes too long."""

import contextlib
import typing as t


@contextlib.contextmanager
def after(seconds: float, call: t.Callable[[], t.Any]) -> t.Iterator[None]:
    """Calls a function in another thread if the body of the with statement takes longer than some seconds."""
    # The daemon, which uses no timer, would keep this module in memory.
    import threading

    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
