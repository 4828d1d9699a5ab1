# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as people write them, and as people read them."""

import re
import typing as t

_UNITS = {"s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60,
          "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400}
_CLOCK = re.compile(r"^(?P<hours>[0-9]{1,7}):(?P<minutes>[0-5]?[0-9]):(?P<seconds>[0-5]?[0-9])$")
# With days in front, Slurm's short forms can be read in one way only. 20:00 alone may be minutes, or hours as LSF reads it.
_DAYS = re.compile(r"^(?P<days>[0-9]{1,5})-(?P<hours>[0-9]{1,2})(?::(?P<minutes>[0-5]?[0-9])(?::(?P<seconds>[0-5]?[0-9]))?)?$")
_PART = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(?P<unit>[a-z]+)\s*")
_NUMBER = re.compile(r"^[0-9]{1,9}(?:\.[0-9]{1,9})?$")
_FORMS = "write 90s, 15m, 2h, 3d, 1:30:00 or 2-00:00:00"


def parse(value: t.Union[str, int], zero: bool = False) -> int:
    """The seconds of a duration.

    Args:
        value: ``H:MM:SS``, ``D-HH``, ``D-HH:MM``, ``D-HH:MM:SS``, or numbers with units, such as ``90s``, ``1h30m`` or ``2 hours``.
        zero: whether zero, such as ``0s``, is accepted.
    Returns:
        Seconds; at least 1, except for zero.
    Raises:
        ValueError: it has another form, or is not above zero. A number without a unit is refused: it may mean seconds or minutes, and YAML reads
            1:00:00 without quotes as the number 3600.
    """
    text = str(value).strip().lower()
    if _NUMBER.match(text):
        raise ValueError(_without_unit(value, text))
    seconds = _of_clock(text) if ":" in text or "-" in text else _of_units(text)
    if seconds is None:
        raise ValueError("{0!r} is not a duration: {1}".format(value, _FORMS))
    if seconds <= 0 and not zero:
        raise ValueError("{0!r} is not above zero: {1}".format(value, _FORMS))
    return max(1, int(round(seconds))) if seconds else 0


def _of_clock(text: str) -> t.Optional[float]:
    """Seconds of ``H:MM:SS``, ``D-HH``, ``D-HH:MM`` or ``D-HH:MM:SS``; None for another form."""
    found = _CLOCK.match(text) or _DAYS.match(text)
    if not found:
        return None
    parts = {name: int(number) for name, number in found.groupdict(default="0").items()}
    return parts.get("days", 0) * 86400 + parts["hours"] * 3600 + parts["minutes"] * 60 + parts["seconds"]


def _of_units(text: str) -> t.Optional[float]:
    """Seconds of numbers with units, such as ``90s`` or ``1h 30m``, the larger unit first; None for another form."""
    parts, end = [], 0
    for part in _PART.finditer(text):
        if part.start() != end or part.group("unit") not in _UNITS:
            return None
        end = part.end()
        parts.append((float(part.group("number")), _UNITS[part.group("unit")]))
    factors = [factor for _number, factor in parts]
    if not parts or end != len(text) or any(one <= other for one, other in zip(factors, factors[1:])):
        return None
    return sum(number * factor for number, factor in parts)


def _without_unit(value: t.Union[str, int], number: str) -> str:
    """Both readings of a number without a unit, and a third one if YAML may have read it from H:MM:SS."""
    readings = "{0}s is {1}, {0}m is {2}".format(number, in_words(float(number)), in_words(float(number) * 60))
    seconds = int(float(number))
    if isinstance(value, int) and seconds >= 60:
        readings += "; YAML reads {0} without quotes as {1}, so put quotes around a time with colons".format(
            clock(seconds) if seconds >= 3600 else "{0}:{1:02d}".format(seconds // 60, seconds % 60), number)
    return "{0!r} has no unit: {1}".format(value, readings)


def clock(seconds: float) -> str:
    """``H:MM:SS`` or ``D-HH:MM:SS``, as batch systems accept it."""
    days, rest = divmod(int(seconds), 86400)
    text = "{0}:{1:02d}:{2:02d}".format(rest // 3600, rest % 3600 // 60, rest % 60)
    return "{0}-{1:0>8}".format(days, text) if days else text


def in_words(seconds: float) -> str:
    """``4 s``, ``6 min 12 s``, ``2 h 5 min``: for a sentence."""
    seconds = int(round(seconds))
    if seconds < 60:
        return "{0} s".format(seconds)
    if seconds < 3600:
        return "{0} min {1} s".format(seconds // 60, seconds % 60) if seconds % 60 else "{0} min".format(seconds // 60)
    return "{0} h {1} min".format(seconds // 3600, seconds % 3600 // 60)


def short(seconds: t.Optional[float]) -> str:
    """``52:10`` or ``3:05:00``, for a column of a table; a dash if it is unknown."""
    if seconds is None:
        return "-"
    return clock(seconds) if seconds >= 3600 else "{0}:{1:02d}".format(int(seconds) // 60, int(seconds) % 60)
