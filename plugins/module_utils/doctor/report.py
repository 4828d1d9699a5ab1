# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the things that a session needs from a cluster, and their output: a table, data, and a page for a help desk."""

import collections
import html
import re
import typing as t

from ..common.text import clean, one_line

#: Places of checks, in the order from the client to pvserver.
HOPS = ("client", "client to login node", "login node", "login node to nodes", "node")
RESULTS = ("ok", "warning", "failed", "cannot tell")
# Results that have a cause, a person who can fix it, and a way to do so.
_TO_FIX = ("warning", "failed")
WHO = {"you": "you", "site": "the site's admin"}


class Check(t.NamedTuple):
    """One check.

    Attributes:
        hop: of HOPS.
        name: what was checked.
        result: of RESULTS.
        said: what was found, or a program's message.
        cause, who, way_out: of a failure or a warning: its cause, the person who can fix it (of WHO), and how.
    """

    hop: str
    name: str
    result: str
    said: str
    cause: str
    who: str
    way_out: str


def ok(hop: str, name: str, said: str = "") -> Check:
    """A check that found no fault."""
    return Check(hop, name, "ok", one_line(said, 300), "", "", "")


def failed(hop: str, name: str, cause: str, who: str, way_out: str, said: str = "") -> Check:
    """A check that found a fault."""
    return Check(hop, name, "failed", one_line(said, 300), one_line(cause, 500), who, way_out)


def warning(hop: str, name: str, cause: str, who: str, way_out: str, said: str = "") -> Check:
    """A check that found a fault with which a session still works."""
    return failed(hop, name, cause, who, way_out, said)._replace(result="warning")


def unsure(hop: str, name: str, said: str) -> Check:
    """A check that has no result, and the reason."""
    return Check(hop, name, "cannot tell", one_line(said, 300), "", "", "")


def table(checks: t.List[Check]) -> t.List[str]:
    """Lines of a table; each failure and warning is followed by its cause and the way out."""
    width = max([len(one.name) for one in checks] or [0])
    lines = []
    for one in checks:
        lines.append("{0:<11}  {1:<{2}}  {3}".format(one.result, one.name, width, one.said or one.cause).rstrip())
        if one.result in _TO_FIX:
            if one.said:
                lines.append("{0:<11}  because {1}".format("", one.cause))
            lines.append("{0:<11}  to be fixed by {1}: {2}".format("", WHO[one.who], one.way_out.replace("\n", "\n" + " " * 13)))
    return lines


def summary(checks: t.List[Check]) -> str:
    """One line of counts; it has warnings only if there are any."""
    counts = collections.Counter(one.result for one in checks)
    return ", ".join("{0} {1}".format(counts[result], result) for result in RESULTS if result != "warning" or counts[result])


def failure(checks: t.List[Check]) -> str:
    """One sentence on the checks that failed; empty if none did."""
    names = [one.name for one in checks if one.result == "failed"]
    return "{0} of {1} checks failed: {2}".format(len(names), len(checks), ", ".join(names)) if names else ""


class Anonymizer:
    """Replaces names and addresses by placeholders; the same name gets the same placeholder everywhere.

    Args:
        names: placeholders by name.
    """

    _ADDRESS = re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])")

    def __init__(self, names: t.Dict[str, str]) -> None:
        self.names = {name: word for name, word in names.items() if name}
        self.addresses: t.Dict[str, str] = {}

    def text(self, text: str) -> str:
        """A text with placeholders."""
        for name in sorted(self.names, key=len, reverse=True):
            text = re.sub(r"(?<![A-Za-z0-9-])" + re.escape(name) + r"(?![A-Za-z0-9-])", self.names[name], text)
        return self._ADDRESS.sub(lambda match: self.addresses.setdefault(match.group(), "ADDRESS-{0}".format(len(self.addresses) + 1)), text)

    def checks(self, checks: t.List[Check]) -> t.List[Check]:
        """Checks with placeholders."""
        return [one._replace(said=self.text(one.said), cause=self.text(one.cause), way_out=self.text(one.way_out)) for one in checks]


_COLOURS = {"ok": "#2e7d32", "warning": "#ef6c00", "failed": "#c62828", "cannot tell": "#9e9e9e"}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; color: #212121; background: #fff }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top; padding: .4em .8em; border-top: 1px solid #ddd }
.ok { color: #2e7d32 } .warning { color: #ef6c00 } .failed { color: #c62828; font-weight: 600 } .cannot-tell { color: #757575 }
pre { white-space: pre-wrap; margin: .3em 0; background: #f5f5f5; padding: .5em } svg { width: 100%; height: auto }
"""


def page(title: str, checks: t.List[Check]) -> str:
    """One self-contained HTML page, with a picture of the hops coloured by result.

    Args:
        title: its title.
        checks: in order.
    """
    rows = "".join(
        "<tr><td>{0}</td><td>{1}</td><td class='{2}'>{3}</td><td>{4}{5}</td></tr>\n".format(
            _escaped(one.hop), _escaped(one.name), one.result.replace(" ", "-"), _escaped(one.result), _escaped(one.said), _way_out(one))
        for one in checks)
    return ("<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'><title>{0}</title><style>{1}</style></head><body>\n<h1>{0}</h1>\n<p>{2}</p>\n{3}\n"
            "<table><tr><th>where</th><th>what</th><th>result</th><th>seen</th></tr>\n{4}</table>\n</body></html>\n").format(
                _escaped(title), _STYLE, _escaped(summary(checks)), picture(checks), rows)


def _escaped(text: str) -> str:
    return html.escape(clean(text))


def _way_out(check: Check) -> str:
    if check.result not in _TO_FIX:
        return ""
    return "<p>{0}</p><p>To be fixed by {1}:</p><pre>{2}</pre>".format(_escaped(check.cause), _escaped(WHO[check.who]), _escaped(check.way_out))


def worst(checks: t.List[Check], hop: str) -> str:
    """The worst result at a hop; ``cannot tell`` if there is none."""
    results = [one.result for one in checks if one.hop == hop]
    return next((result for result in ("failed", "warning", "ok") if result in results), "cannot tell")


def picture(checks: t.List[Check]) -> str:
    """An SVG of client, login node and node, and of the connections between them."""
    colours = {hop: _COLOURS[worst(checks, hop)] for hop in HOPS}
    boxes = ((20, "client", "your machine"), (320, "login node", "login node"), (620, "node", "compute node"))
    lines = ((180, "client to login node"), (480, "login node to nodes"))
    parts = ["<svg viewBox='0 0 800 120' role='img' aria-label='the way from your machine to the compute node'>"]
    parts += ["<line x1='{0}' y1='60' x2='{1}' y2='60' stroke='{2}' stroke-width='6'/>".format(x, x + 140, colours[hop]) for x, hop in lines]
    box = ("<rect x='{0}' y='25' width='160' height='70' rx='8' fill='#fff' stroke='{1}' stroke-width='4'/>"
           "<text x='{2}' y='66' text-anchor='middle' font-size='18' fill='{1}'>{3}</text>")
    parts += [box.format(x, colours[hop], x + 80, label) for x, hop, label in boxes]
    return "".join(parts) + "</svg>"
