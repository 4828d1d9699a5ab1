# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policies of ours that a configuration has: in drop-ins, in files that the main file includes, and in blocks of the main file."""

import collections
import os
import re
import typing as t

from . import blocks
from .config import Line, Tree, arguments, lines, quote
from .policy import CRITERIA, KEYWORDS, OPTIONS, Policy, body, spelled
from .program import Effective, Origin

STEM = "sciviz-paraview-"
_HEADER = "# Policy {0} of sciviz.paraview.sshd_forwarding: what is changed here by hand is overwritten."
_OF_ANY = re.compile(_HEADER.format("(?P<name>@)").replace(".", r"\.").replace("@", r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}") + r"\r?(?:\n|\Z)")
_MADE = "# This directory was made for it."
#: The name of a backup that an earlier version put beside the file.
_BACKUP = re.compile(r"\.\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d~\Z")


class Foreign(t.NamedTuple):
    """A line of somebody else in what is ours."""

    file: str
    number: int
    text: str


class Written(t.NamedTuple):
    """A policy as it is written.

    Attributes:
        policy: the policy that the lines are.
        files: its own files.
        block: whether it has a block in the main file.
        foreign: lines of others within the block.
        edited: lines of others in its own files.
        made: directories that were created for it.
    """

    policy: Policy
    files: t.List[str]
    block: bool
    foreign: t.List[Foreign]
    edited: t.List[Foreign]
    made: t.List[str]


def find(tree: Tree) -> "collections.OrderedDict[str, Written]":
    """The policies of ours in a configuration, by name."""
    main = tree.files.get(tree.path, "")
    files: t.Dict[str, t.List[str]] = collections.OrderedDict()
    for path in _candidates(tree):
        name = name_in(tree.view.read(path) or "")
        if name and _fits(os.path.basename(path), name):
            files.setdefault(name, []).append(path)
    names = list(collections.OrderedDict.fromkeys(blocks.begun(main) + list(files)))
    return collections.OrderedDict((name, _written(tree, name, files.get(name, []))) for name in names)


def _candidates(tree: Tree) -> t.List[str]:
    places = {os.path.dirname(pattern) for pattern in tree.drop_in_patterns()} | {os.path.dirname(tree.path), tree.path + ".d"}
    found = set(tree.files)
    for place in places:
        found |= set(tree.view.matching("{0}/*{1}*".format(place, STEM)))
    return sorted(found - {tree.path})


def _fits(base: str, name: str) -> bool:
    return bool(re.match(r"(?:[0-9a-z!]+-|0!)?{0}(?:\d\d-)?{1}(?:\.[^.]*)?\Z".format(re.escape(STEM), re.escape(name)), base)) and not is_backup(base)


def is_backup(base: str) -> bool:
    """Whether a file's name is that of a backup."""
    return bool(_BACKUP.search(base))


def name_in(text: str) -> str:
    """The name of the policy that a file of ours has; empty for any other file."""
    found = _OF_ANY.match(text)
    return found.group("name") if found else ""


def _written(tree: Tree, name: str, files: t.List[str]) -> Written:
    main = tree.files.get(tree.path, "")
    inner = blocks.body(main, name)
    texts = [(path, list(enumerate((tree.view.read(path) or "").rstrip("\n").split("\n"), 1))[1:]) for path in files]
    policy = _read(name, "\n".join(text for _file, numbered in texts + [("", inner)] for _number, text in numbered))
    edited = [one for path, numbered in texts for one in _foreign(path, numbered, policy)]
    foreign = [one for one in _foreign(tree.path, inner, policy) if not _includes(one.text, files)]
    made = sorted({os.path.dirname(path) for path, numbered in texts if any(text == _MADE for _number, text in numbered)})
    return Written(policy, files, bool(inner), foreign, edited, made)


def _read(name: str, text: str) -> Policy:
    match: t.Dict[str, t.List[str]] = {}
    requested: t.Dict[str, str] = {}
    for line in lines(text):
        if line.keyword == "match" and not match:
            match = _criteria(line)
        elif line.keyword in OPTIONS:
            requested.setdefault(*spelled(line))
    return Policy(name, match, collections.OrderedDict((keyword, requested[keyword]) for keyword, _choices in KEYWORDS.values() if keyword in requested))


def _criteria(line: Line) -> t.Dict[str, t.List[str]]:
    words = arguments(line.rest)
    spelled = {name.lower(): name for name in CRITERIA}
    return collections.OrderedDict((spelled[name.lower()], value.split(",")) for name, value in zip(words[::2], words[1::2]) if name.lower() in spelled)


def _foreign(path: str, numbered: t.List[t.Tuple[int, str]], policy: Policy) -> t.List[Foreign]:
    """The lines that are not those of the policy, in this or an earlier version's form."""
    plain = body(policy.requested, policy.match)
    everybody = body(policy.requested, {"all": []})
    own = plain + hidden(plain + ["Match all"]) + everybody + hidden(everybody) + ["Match all", "", _MADE]
    found: t.List[Foreign] = []
    seen: t.Set[str] = set()
    for number, text in numbered:
        if text.strip() and (text not in own or text in seen):
            found.append(Foreign(path, number, text.strip()))
        seen.add(text)
    return found


def _includes(text: str, files: t.List[str]) -> bool:
    return any(line.keyword == "include" and arguments(line.rest) in [[path] for path in files] for line in lines(text))


def hidden(inner: t.List[str]) -> t.List[str]:
    """A block's lines, so that tools that search for ``^Match`` or ``^Include`` to insert a line do not find those."""
    return [re.sub(r"\A(Match|Include) ", lambda found: "  {0} ".format(found.group(1).lower()), line) for line in inner]


def drop_in(name: str, inner: t.List[str], made: bool) -> str:
    """The text of a file of ours."""
    return "\n".join([_HEADER.format(name)] + ([_MADE] if made else []) + inner) + "\n"


def include(path: str) -> t.List[str]:
    """The lines of a block that includes a file of ours."""
    return hidden(["Include " + quote(path)])


def owner(tree: Tree, origin: t.Optional[Origin]) -> str:
    """Name of the policy of ours that a line belongs to; empty if there is none."""
    if origin is None or origin.file not in tree.files:
        return ""
    if origin.file == tree.path:
        return blocks.block_at(tree.files[tree.path], origin.line)
    return name_in(tree.files[origin.file]) if not is_backup(origin.file) else ""


def applied(tree: Tree, effective: Effective) -> t.List[str]:
    """The names of the policies of ours that apply to a connection, those with a Match first."""
    found = [(not origin.second, owner(tree, origin)) for _keyword, origin in effective.lines]
    return list(collections.OrderedDict.fromkeys(name for _second, name in sorted(found, key=lambda one: one[0]) if name))


def backups(tree: Tree) -> t.List[str]:
    """Backups of an earlier version that sshd reads as configuration."""
    return [path for path in tree.files if is_backup(path)]
