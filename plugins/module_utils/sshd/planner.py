# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place in sshd's configuration where a policy holds.

Nothing here writes. A place is taken when sshd, shown the whole configuration with it, has every value that was asked for
and no other value changed, for every connection that is tried.
"""

import collections
import fnmatch
import itertools
import os
import re
import typing as t

from ..common.errors import SessionError
from .config import END, Tree, View, block_at, block_lines, lines, ours, quote, with_block, without_block
from .policy import asks_to_allow, body, head, origins, same, values
from .program import Connection, Effective, Origin, Program, Refused, spec
from .samples import Accounts, Derived, Tried

# The first two sort first almost everywhere; the last is for what the last line decides.
_PREFIXES = ("00-", "0-", "0!", "zz-")
_STEM = "sciviz-paraview-"
_HEADER = "# Policy {0} of sciviz.paraview.sshd_forwarding: what is changed here by hand is overwritten."
_MADE = "# This directory was made for it."
_TRIED_MEMBERS = 8
# Texts by path, None to remove the file.
_Changes = t.Dict[str, t.Optional[str]]


class Plan(t.NamedTuple):
    """What to do for a policy.

    Attributes:
        changes: texts by path, None to remove.
        place: what it is called.
        tried: the connections.
        before: what sshd made of each.
        after: what it will make of each.
        overrides: others' lines that will not count any more.
        warnings: what the user should know.
        stand_in: the user who was tried in place of a group without members, or empty.
    """

    changes: _Changes
    place: str
    tried: t.List[Tried]
    before: t.List[Effective]
    after: t.List[Effective]
    overrides: t.List[t.Dict[str, t.Any]]
    warnings: t.List[str]
    stand_in: str = ""


class Planner:
    """Finds the place for a policy.

    Args:
        program: whom to ask.
        view: the files.
        path: the main file.
        name: of the policy.
        writable: whether the main file may be edited; a vendor's own may not.
        accounts: the users there are.
    """

    def __init__(self, program: Program, view: View, path: str, name: str, writable: bool = True, accounts: t.Optional[Accounts] = None) -> None:
        self.program, self.path, self.name, self.writable = program, path, name, writable
        self.accounts = accounts or Accounts()
        self.view = view
        self.current = Tree(view, path)
        if path not in self.current.files:
            raise SessionError("there is no {0}".format(path), "", "correct path; nothing was changed")
        self.base_changes = self._removal()
        self.base = Tree(view.with_changes(self.base_changes), path)

    def _removal(self) -> _Changes:
        changes = dict.fromkeys(self._own_files())
        text = without_block(self.current.files[self.path], self.name)
        if text != self.current.files[self.path]:
            changes[self.path] = text
        return changes

    def _own_files(self) -> t.List[str]:
        names = {prefix + _STEM + self.name for prefix in _PREFIXES} | {_STEM + self.name}
        places = {os.path.dirname(pattern) for pattern in self.current.drop_in_patterns()} | {os.path.dirname(self.path), self.path + ".d"}
        found = set(self.current.files)
        for place in places:
            found |= set(self.view.matching(place + "/*" + _STEM + self.name + "*"))
        header = _HEADER.format(self.name)
        return [path for path in sorted(found) if os.path.splitext(os.path.basename(path))[0] in names and (self.view.read(path) or "").startswith(header)]

    # --- absent ---

    def absent(self, tried: t.List[Tried]) -> Plan:
        """Everything of the policy taken away."""
        connections = [one.connection for one in tried]
        after = self._ask(self.base, connections, "without the policy")
        before = self._current(tried, after)
        problems = [problem for problem in (self._expectation(one, new, self.base) for one, new in zip(tried, after)) if problem]
        if problems:
            raise SessionError("without the policy {0} sshd would not do as verify says".format(self.name), "; ".join(problems),
                               "correct verify; nothing was changed")
        return Plan(self.base_changes, "", tried, before, after, [], [])

    def made_directories(self) -> t.List[str]:
        """Directories that were made for the policy's drop-ins."""
        return sorted({os.path.dirname(path) for path in self._own_files() if _MADE in self.view.read(path).split("\n")})

    def bystanders(self, match: t.Dict[str, t.List[str]]) -> t.List[Tried]:
        """The connections that a removed policy was for, and those that it just missed. If they are not known any more, connections of ordinary users."""
        try:
            known = Derived(match, self.accounts)
        except SessionError:
            known = Derived({}, self.accounts)
        inside = known.inside(known.users[0])
        return [Tried(one, "outside", {}, {}, spec(one)) for one in [inside] + [one for _name, one in known.outside(inside.user)]]

    def _ask(self, tree: Tree, connections: t.List[Connection], when: str) -> t.List[Effective]:
        try:
            return self.program.effective(tree, connections)
        except Refused as error:
            raise SessionError("sshd does not take {0} as it is, {1}".format(self.path, when), error.why, "mend it first (sshd -t); nothing was changed")

    # --- present ---

    def present(self, asked: t.Dict[str, str], match: t.Dict[str, t.List[str]], verify: t.Sequence[Tried] = (), override: bool = True) -> Plan:
        """The plan for a policy.

        Args:
            asked: from policy().
            match: from criteria().
            verify: from named(); empty to derive them.
            override: whether other lines that say otherwise may be overridden.
        Raises:
            SessionError: no place does, or override forbids it; it names the line that is in the way.
        """
        derived = Derived(match, self.accounts)
        tried, before = self._tried(asked, match, derived, verify)
        problems = []
        for place, changes in sorted(self._places(asked, match), key=lambda one: self._is_late(one[1], asked, bool(match))):
            plan = self._try(place, changes, asked, match, derived, tried, before)
            if isinstance(plan, Plan):
                return self._finish(plan, override)
            problems.append((place, plan))
        raise self._no_place(problems)

    def _tried(self, asked: t.Dict[str, str], match: t.Dict[str, t.List[str]], derived: Derived,
               verify: t.Sequence[Tried]) -> t.Tuple[t.List[Tried], t.List[Effective]]:
        """The connections to try, and sshd's values for them without the policy.

        If another policy of ours is for a connection, that one is left out, unless none would be left.
        """
        if verify:
            return list(verify), self._ask(self.base, [one.connection for one in verify], "without the policy")
        users = derived.users[:_TRIED_MEMBERS]
        about = "{0} (who it is for)" if match else "{0} (an ordinary user)"
        tried = [Tried(derived.inside(user), "inside" if match else "anybody", {}, {}, about.format(user)) for user in users]
        tried += [Tried(one, "outside", {}, {}, "{0} (not by {1})".format(spec(one), name)) for name, one in derived.outside(users[0])]
        before = self._ask(self.base, [one.connection for one in tried], "without the policy")
        free = [(one, old) for one, old in zip(tried, before)
                if one.role != "inside" or not any(self._is_ours(old.origin(keyword)) for keyword in asked)]
        if any(one.role != "outside" for one, _old in free):
            return [one for one, _old in free], [old for _one, old in free]
        return tried, before

    def _is_ours(self, origin: t.Optional[Origin]) -> str:
        """Name of the other policy of ours that a line belongs to; empty for none."""
        if origin is None or origin.file not in self.base.files:
            return ""
        text = self.base.files[origin.file]
        header = re.match(r"# Policy (\S+) of sciviz\.paraview\.sshd_forwarding:", text)
        if header:
            return header.group(1)
        return block_at(text, origin.line)

    def _is_late(self, changes: _Changes, asked: t.Dict[str, str], match: bool) -> bool:
        """Whether a line of others that is read earlier says something of the same kind; it may count for a connection that nobody tries."""
        tree = Tree(self.view.with_changes(dict(self.base_changes, **changes)), self.path)
        keywords = {keyword.lower() for keyword in asked} - {"streamlocalbindmask"}
        for file, line, matched in tree.reading():
            if self._in_place(Origin(file, line.number, matched), changes, tree):
                return False
            if line.keyword in keywords and matched == match and not self._is_ours(Origin(file, line.number, matched)):
                return True
        return False

    def _places(self, asked: t.Dict[str, str], match: t.Dict[str, t.List[str]]) -> t.Iterator[t.Tuple[str, _Changes]]:
        """Yields (what it is called, changes to the base), the best first."""
        text = body(asked, match)
        for pattern in self.base.drop_in_patterns():
            directory, form = os.path.split(pattern)
            suffix = form.rpartition("*")[2]
            if not re.match(r"^\.?[A-Za-z0-9._-]*\Z", suffix):
                continue
            for prefix in _PREFIXES:
                path = "{0}/{1}{2}{3}{4}".format(directory, prefix, _STEM, self.name, suffix)
                if fnmatch.fnmatchcase(os.path.basename(path), form):
                    yield "drop-in {0}".format(path), {path: self._drop_in(text, directory)}
            if len(asked) > 1 and "StreamLocalBindMask" in asked:
                rest = collections.OrderedDict((keyword, value) for keyword, value in asked.items() if keyword != "StreamLocalBindMask")
                parts = ((_PREFIXES[0], rest), (_PREFIXES[-1], {"StreamLocalBindMask": asked["StreamLocalBindMask"]}))
                yield "two drop-ins in {0}".format(directory), {
                    "{0}/{1}{2}{3}{4}".format(directory, prefix, _STEM, self.name, suffix): self._drop_in(body(part, match), directory)
                    for prefix, part in parts if fnmatch.fnmatchcase(prefix + _STEM + self.name + suffix, form)}
        if not self.writable:
            return
        main = self.base.files[self.path]
        if not match:
            yield "head of {0}".format(self.path), {self.path: with_block(main, self.name, text, 1)}
            yield "{0}, before its first Match".format(self.path), {self.path: with_block(main, self.name, text, self._before(main, ""))}
            if self._before(main, "all"):
                # Match all wins over every global line; what is said for somebody before it goes on to count.
                everybody = {self.path: with_block(main, self.name, body(asked, {"all": []}), self._before(main, "all"))}
                yield "{0}, before its first Match all".format(self.path), everybody
            return
        closed = text + ["Match all"]
        yield "{0}, before its first Match".format(self.path), {self.path: with_block(main, self.name, closed, self._before(main, ""))}
        # An included file closes its Match by ending: Match all at the head would turn what follows into a Match of its own.
        own = "{0}/{1}{2}.conf".format(os.path.dirname(self.path), _STEM, self.name)
        yield "{0}, included at the head of {1}".format(own, self.path), {
            own: self._drop_in(text, ""), self.path: with_block(main, self.name, ["Include " + quote(own)], 1)}
        yield "end of {0}".format(self.path), {self.path: with_block(main, self.name, closed)}

    @staticmethod
    def _before(main: str, criteria_: str) -> t.Optional[int]:
        """The line before which a block goes, if there is one, so that it stands before the first Match of that kind, and before its comment."""
        # A block of ours closes with a Match all of its own.
        inner = ours(main) if criteria_ else ()
        first = next((line.number for line in lines(main) if line.keyword == "match" and line.rest.lower().startswith(criteria_) and line.number not in inner),
                     None)
        if first is None:
            return None
        raw = main.split("\n")
        while first > 1 and raw[first - 2].lstrip(" \t").startswith("#") and not raw[first - 2].startswith(END):
            first -= 1
        return first

    def _drop_in(self, text: t.List[str], directory: str) -> str:
        made = [_MADE] if directory and not os.path.isdir(self.view.real(directory)) else []
        present = next((old for path, old in self.current.files.items() if os.path.dirname(path) == directory and path in self.base_changes), "")
        if _MADE in (present or "") and directory:
            made = [_MADE]
        return "\n".join([_HEADER.format(self.name)] + made + text) + "\n"

    def _try(self, place: str, changes: _Changes, asked: t.Dict[str, str], match: t.Dict[str, t.List[str]], derived: Derived, tried: t.List[Tried],
             before: t.List[Effective]) -> t.Union[Plan, str]:
        """Plan, or str: why the place does not do."""
        combined = dict(self.base_changes, **changes)
        tree = Tree(self.view.with_changes(combined), self.path)
        shown = tree if not derived.stand_in else Tree(self.view.with_changes(dict(combined, **self._with_stand_in(changes, match, derived))), self.path)
        try:
            after = self.program.effective(shown, [one.connection for one in tried])
        except Refused as error:
            return error.why
        applies = [any(self._in_place(origin, changes, tree) for _keyword, origin in one.lines) for one in after]
        exceptions = []
        for one, old, new, applied in zip(tried, before, after, applies):
            problem = self._problem(one, old, new, asked, applied, tree)
            if one.role == "anybody" and self._is_exception(new, asked):
                exceptions.append(problem)
            elif problem:
                return problem
        if exceptions and len(exceptions) == len(tried):
            return exceptions[0]
        if not any(applies) and any(one.role == "named" for one in tried):
            return "it is for none of the connections in verify"
        overrides = self._overrides(tried, before, after, asked, applies)
        warnings = ["a Match of others goes before the policy: " + problem for problem in exceptions]
        if derived.stand_in:
            warnings.append("{0} has no member yet: it was tried with {1} in its place".format(",".join(match["Group"]), derived.users[0]))
        now = {path: text for path, text in combined.items() if text != self.view.read(path)}
        return Plan(now, place, tried, self._current(tried, before), after, overrides, warnings, derived.users[0] if derived.stand_in else "")

    def _current(self, tried: t.List[Tried], before: t.List[Effective]) -> t.List[Effective]:
        if not self.base_changes:
            return before
        try:
            return self.program.effective(self.current, [one.connection for one in tried])
        except Refused:
            # The policy itself was spoilt by hand; what sshd does not take says nothing.
            return before

    @staticmethod
    def _with_stand_in(changes: _Changes, match: t.Dict[str, t.List[str]], derived: Derived) -> _Changes:
        """A user in place of a group that has no member: what a member would get can be shown in no other way."""
        other = collections.OrderedDict((name, values) for name, values in match.items() if name != "Group")
        other["User"] = [derived.users[0]]
        return {path: (text or "").replace(head(match), head(other)) for path, text in changes.items()}

    def _in_place(self, origin: Origin, changes: _Changes, tree: Tree) -> bool:
        if origin.file not in changes:
            return False
        return origin.file != self.path or block_at(tree.files[self.path], origin.line) == self.name

    @staticmethod
    def _is_exception(new: Effective, asked: t.Dict[str, str]) -> bool:
        """Whether another's Match says otherwise for that user, which a global policy leaves alone."""
        differing = [new.origin(keyword) for keyword, value in asked.items() if not same(keyword, new.value(keyword), value)]
        return bool(differing) and all(origin is not None and origin.second for origin in differing)

    def _problem(self, one: Tried, old: Effective, new: Effective, asked: t.Dict[str, str], applied: bool, tree: Tree) -> str:
        wanted = dict(asked) if one.role in ("inside", "anybody") or (one.role == "named" and applied) else {}
        for keyword, value in wanted.items():
            if not same(keyword, new.value(keyword), value):
                return "{0} would have {1} {2}, {3}".format(one.label, keyword, _told(new.value(keyword)), self._source(new.origin(keyword), tree))
            other = self._is_ours(old.origin(keyword))
            if other and not same(keyword, old.value(keyword), value):
                return "{0} has {1} {2} by the policy {3}, {4}".format(
                    one.label, keyword, _told(old.value(keyword)), other, self._source(old.origin(keyword), self.base))
        if wanted.get("DisableForwarding") != "yes" and new.value("DisableForwarding") == "yes" and asks_to_allow(wanted):
            return "{0} would have DisableForwarding yes, {1}, which overrides all".format(one.label, self._source(new.origin("DisableForwarding"), tree))
        for keyword in sorted(set(old.values) | set(new.values)):
            managed = keyword in {name.lower() for name in wanted}
            if not managed and old.values.get(keyword) != new.values.get(keyword):
                return "{0} would have {1} {2} instead of {3}".format(one.label, keyword, _told(new.value(keyword)), _told(old.value(keyword)))
        return self._expectation(one, new, tree)

    def _expectation(self, one: Tried, new: Effective, tree: Tree) -> str:
        for keyword, value in one.must.items():
            if not same(keyword, new.value(keyword), value):
                return "{0} must have {1} {2}, and would have {3}, {4}".format(
                    one.label, keyword, value, _told(new.value(keyword)), self._source(new.origin(keyword), tree))
        for keyword, value in one.must_not.items():
            if same(keyword, new.value(keyword), value):
                return "{0} must not have {1} {2}, which it would, {3}".format(one.label, keyword, value, self._source(new.origin(keyword), tree))
        return ""

    def _source(self, origin: t.Optional[Origin], tree: Tree) -> str:
        if origin is None:
            return "sshd's default"
        said = tree.said(origin.file, origin.line)[:120]
        where = "{0}:{1}".format(origin.file, self._line_now(origin, tree))
        return "from {0} ({1})".format(where, said) if said else "from {0}".format(where)

    def _line_now(self, origin: Origin, tree: Tree) -> int:
        """A line's number in the file as it is now, without or with another place of our own block."""
        if origin.file != self.path:
            return origin.line
        shifted, current = (block_lines(one.files[self.path], self.name) for one in (tree, self.current))
        count = origin.line - sum(1 for number in shifted if number < origin.line)
        return next(number for number in itertools.count(count) if number - sum(1 for own in current if own <= number) >= count)

    def _overrides(self, tried: t.List[Tried], before: t.List[Effective], after: t.List[Effective], asked: t.Dict[str, str],
                   applies: t.List[bool]) -> t.List[t.Dict[str, t.Any]]:
        found: t.Dict[tuple, dict] = collections.OrderedDict()
        for one, old, new, applied in zip(tried, before, after, applies):
            for keyword in asked:
                origin = old.origin(keyword)
                if applied and origin is not None and not same(keyword, old.value(keyword), new.value(keyword) or ""):
                    key = (origin.file, origin.line, keyword)
                    found.setdefault(key, {"file": origin.file, "line": self._line_now(origin, self.base), "keyword": keyword, "value": old.value(keyword),
                                           "connections": []})["connections"].append(spec(one.connection))
        return list(found.values())

    def _finish(self, plan: Plan, override: bool) -> Plan:
        if plan.overrides and not override:
            first = plan.overrides[0]
            raise SessionError(
                "the policy {0} would override others' lines, which override: false forbids".format(self.name),
                "; ".join("{file}:{line} has {keyword} {value}".format(**one) for one in plan.overrides),
                "change {0} yourself, or allow override; nothing was changed".format(first["file"]))
        return plan

    def _no_place(self, problems: t.List[t.Tuple[str, str]]) -> SessionError:
        said = list(collections.OrderedDict.fromkeys(problem for _place, problem in problems))
        why = "; ".join(said) if said else "{0} belongs to the vendor and includes no directory".format(self.path)
        return SessionError("no place in sshd's configuration makes the policy {0} hold".format(self.name), why,
                            "change what it names, or the policy; nothing was changed")


def _told(value: t.Optional[str]) -> str:
    return "no value" if value is None else value


def told(plan: Plan) -> t.List[t.Dict[str, t.Any]]:
    """What a plan does for each connection that was tried."""
    return [{"connection": spec(one.connection), "about": one.label, "before": values(before), "after": values(after), "origins": origins(after)}
            for one, before, after in zip(plan.tried, plan.before, plan.after)]
