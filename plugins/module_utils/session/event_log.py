# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event log of a session: what happens in it, for the programs that follow it. Each event is a line of JSON in a file that only its owner may read.

An event has ``at`` (seconds since 1970) and ``kind``. If it is for one playbook alone, it has that playbook's ``owner``.

- ``begun``: a playbook begins to follow the session (``owner``, its processes.identity()).
- ``line``: a line for the user (``text``).
- ``prompt``: ssh prompts the user (``id``, ``text``, ``private``); the daemon's request ``answer`` gets the answer.
- ``submitted``: the job is submitted.
- ``error``: a step has failed (``what``, ``why``, ``way_out``).
- One of OVER is the last event of a connect: ``ready`` and ``ended`` (the client has come, and left again), each with ``text``; ``detached`` (it continues
  without this playbook; ``text``); ``open`` (it was ready already); ``checked`` (check mode; ``diff``); ``failed`` (``kept``: whether the session continues).
  ``ready`` also has ``advice``: sentences and the commands that follow them, each pair for the user.
"""

import json
import os
import time
import typing as t

from ..common import ownership

#: Kinds of events after which a connect has nothing more to follow.
OVER = ("ready", "ended", "detached", "open", "checked", "failed")
# Fields that an event of a kind has, and their types.
_FIELDS: t.Dict[str, t.Dict[str, type]] = {
    "begun": {"owner": list}, "line": {"text": str}, "prompt": {"id": str, "text": str, "private": bool},
    "error": {"what": str, "why": str, "way_out": str}, "failed": {"kept": bool}, "ready": {"text": str}, "ended": {"text": str}, "detached": {"text": str},
}


class EventLog:
    """The event log in one file.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def append(self, kind: str, **fields: t.Any) -> None:
        """Appends an event. If that is not possible, nothing happens: the session was removed, or the file system is full."""
        # The newline in front ends a line that a full file system has cut off.
        line = "\n" + json.dumps(dict(fields, kind=kind, at=time.time())) + "\n"
        try:
            descriptor = ownership.open_own(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        except OSError:
            return
        try:
            os.write(descriptor, line.encode())
        except OSError:
            pass
        finally:
            os.close(descriptor)

    def read(self, offset: int = 0) -> t.Tuple[t.List[t.Dict[str, t.Any]], int]:
        """The complete events from an offset on, and the offset behind them. If there is no file, there are none. A damaged line is left out."""
        try:
            with os.fdopen(ownership.open_own(self.path), "rb") as stream:
                stream.seek(offset)
                data = stream.read()
        except OSError:
            return [], offset
        complete = data[:data.rfind(b"\n") + 1]
        events = [_event(line) for line in complete.splitlines()]
        return [event for event in events if event], offset + len(complete)

    def clear(self) -> None:
        """Removes the events of an earlier session."""
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass


def _event(line: bytes) -> t.Dict[str, t.Any]:
    """The event in a line; empty if it is none."""
    try:
        event = json.loads(line.decode())
    except (ValueError, RecursionError):
        return {}
    if not isinstance(event, dict) or not isinstance(event.get("kind"), str):
        return {}
    # Another version may write kinds that this one does not know.
    fields = dict({"text": str} if "text" in event else {}, **_FIELDS.get(event["kind"], {}))
    return event if all(isinstance(event.get(name), kind) for name, kind in fields.items()) and _is_advice(event.get("advice", [])) else {}


def _is_advice(value: t.Any) -> bool:
    """Whether these are pairs of texts."""
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], str) for pair in value)
