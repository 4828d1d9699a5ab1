# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's display, as a worker uses it: what it shows passes through a queue to the main process, which waits forever if the worker ends in the middle."""

import contextlib
import multiprocessing
import signal
import typing as t

from ansible.utils.display import Display

from ..module_utils.common.terminals import Output

display = Display()
# Ansible imports an action in its main process. The worker that runs the action has no terminal from ansible-core 2.19 on.
OUTPUT = Output()
_ENDS = (signal.SIGINT, signal.SIGTERM)


def show(text: str, **options: t.Any) -> None:
    """Shows a text at once, unless nobody reads it any more: Ansible hangs if it cannot write what a worker shows.

    Args:
        text: lines.
        options: of Display.display().
    """
    if not OUTPUT.closed(0):
        with uninterrupted():
            display.display(text, **options)


@contextlib.contextmanager
def uninterrupted() -> t.Iterator[None]:
    """Delays the end of this process. If it ended while it holds the lock of the main process's queue, the main process would wait for that lock forever."""
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def finish() -> None:
    """From now on a worker ends only by itself: all that it still does is to send its result through that queue."""
    if multiprocessing.parent_process() is not None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
