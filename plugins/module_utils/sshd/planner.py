# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the place in sshd's configuration where a policy takes effect.

Nothing here writes. sshd reads a copy of the whole configuration with the policy in that place. If sshd then has every requested
value, and every other value is unchanged, for every sample connection, the place is used.
"""

import collections
import fnmatch
import itertools
import os
import re
import typing as t

from ..common.errors import SessionError
from .config import END, Tree, View, block_at, block_lines, lines, ours, quote, with_block, without_block
from .policy import allows_forwarding, body, head, origins, same, values
from .program import Connection, Effective, Origin, Program, Refused, spec
from .samples import Accounts, Derived, Sample

# The first two sort first almost everywhere. The last is for StreamLocalBindMask, of which the last line counts.
_PREFIXES = ("00-", "0-", "0!", "zz-")
_STEM = "sciviz-paraview-"
_HEADER = "# Policy {0} of sciviz.paraview.sshd_forwarding: what is changed here by hand is overwritten."
_MADE = "# This directory was made for it."
_MOST_USERS = 8
# Texts by path, None to remove the file.
_Changes = t.Dict[str, t.Optional[str]]


class Plan(t.NamedTuple):
    """What to do for a policy.

    Attributes:
        changes: texts by path, None to remove the file.
        place: the place, as shown to the user.
        samples: the connections that were tested.
        before: sshd's values for each of them now.
        after: sshd's values for each of them with the policy.
        overrides: lines of others that the policy overrides.
        warnings: for the user.
        stand_in: the user who was tested in place of a group without members, or empty.
    """

    changes: _Changes
    place: str
    samples: t.List[Sample]
    before: t.List[Effective]
    after: t.List[Effective]
    overrides: t.List[t.Dict[str, t.Any]]
    warnings: t.List[str]
    stand_in: str = ""


class Planner:
    """Finds the place for a policy.

    Args:
        program: the sshd program.
        view: the files.
        path: the main file.
        name: the policy's name.
        writable: whether the main file may be edited; a vendor's file may not.
        accounts: the users and groups of the host.
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

    def absent(self, samples: t.List[Sample]) -> Plan:
        """The plan that removes the policy."""
        connections = [sample.connection for sample in samples]
        after = self._effective(self.base, connections, "without the policy")
        before = self._current(samples, after)
        problems = [problem for problem in (self._expectation(sample, new, self.base) for sample, new in zip(samples, after)) if problem]
        if problems:
            raise SessionError("without the policy {0} sshd would not meet verify".format(self.name), "; ".join(problems),
                               "correct verify; nothing was changed")
        return Plan(self.base_changes, "", samples, before, after, [], [])

    def made_directories(self) -> t.List[str]:
        """Directories that were created for the policy's drop-ins."""
        return sorted({os.path.dirname(path) for path in self._own_files() if _MADE in self.view.read(path).split("\n")})

    def removal_samples(self, match: t.Dict[str, t.List[str]]) -> t.List[Sample]:
        """Sample connections for the removal of a policy, inside and outside its Match. If its group no longer exists, those of ordinary users."""
        try:
            derived = Derived(match, self.accounts)
        except SessionError:
            derived = Derived({}, self.accounts)
        inside = derived.inside(derived.users[0])
        return [Sample(one, "outside", {}, {}, spec(one)) for one in [inside] + [one for _name, one in derived.outside(inside.user)]]

    def _effective(self, tree: Tree, connections: t.List[Connection], when: str) -> t.List[Effective]:
        try:
            return self.program.effective(tree, connections)
        except Refused as error:
            raise SessionError("sshd rejects {0} as it is, {1}".format(self.path, when), error.why, "fix it first (sshd -t); nothing was changed")

    # --- present ---

    def present(self, requested: t.Dict[str, str], match: t.Dict[str, t.List[str]], verify: t.Sequence[Sample] = (), override: bool = True) -> Plan:
        """The plan for a policy.

        Args:
            requested: from policy().
            match: from criteria().
            verify: from named(); empty to derive sample connections.
            override: whether lines of others with other values may be overridden.
        Raises:
            SessionError: no place works, or override forbids it; the error names the line that prevents it.
        """
        derived = Derived(match, self.accounts)
        samples, before = self._samples(requested, match, derived, verify)
        problems = []
        for place, changes in sorted(self._places(requested, match), key=lambda one: self._is_preceded(one[1], requested, bool(match))):
            plan = self._try(place, changes, requested, match, derived, samples, before)
            if isinstance(plan, Plan):
                return self._finish(plan, override)
            problems.append((place, plan))
        raise self._no_place(problems)

    def _samples(self, requested: t.Dict[str, str], match: t.Dict[str, t.List[str]], derived: Derived,
                 verify: t.Sequence[Sample]) -> t.Tuple[t.List[Sample], t.List[Effective]]:
        """The sample connections, and sshd's values for them without the policy.

        If another policy of ours applies to a connection, the connection is left out, unless none would remain.
        """
        if verify:
            return list(verify), self._effective(self.base, [sample.connection for sample in verify], "without the policy")
        users = derived.users[:_MOST_USERS]
        about = "{0} (matches the policy)" if match else "{0} (an ordinary user)"
        samples = [Sample(derived.inside(user), "inside" if match else "anybody", {}, {}, about.format(user)) for user in users]
        samples += [Sample(one, "outside", {}, {}, "{0} (does not match: {1})".format(spec(one), name)) for name, one in derived.outside(users[0])]
        before = self._effective(self.base, [sample.connection for sample in samples], "without the policy")
        free = [(sample, old) for sample, old in zip(samples, before)
                if sample.role != "inside" or not any(self._other_policy(old.origin(keyword)) for keyword in requested)]
        if any(sample.role != "outside" for sample, _old in free):
            return [sample for sample, _old in free], [old for _sample, old in free]
        return samples, before

    def _other_policy(self, origin: t.Optional[Origin]) -> str:
        """Name of our other policy that a line belongs to; empty if there is none."""
        if origin is None or origin.file not in self.base.files:
            return ""
        text = self.base.files[origin.file]
        header = re.match(r"# Policy (\S+) of sciviz\.paraview\.sshd_forwarding:", text)
        if header:
            return header.group(1)
        return block_at(text, origin.line)

    def _is_preceded(self, changes: _Changes, requested: t.Dict[str, str], match: bool) -> bool:
        """Whether sshd reads a line of others with the same keyword earlier; that line may count for a connection that is not among the samples."""
        tree = Tree(self.view.with_changes(dict(self.base_changes, **changes)), self.path)
        keywords = {keyword.lower() for keyword in requested} - {"streamlocalbindmask"}
        for file, line, matched in tree.reading():
            if self._in_place(Origin(file, line.number, matched), changes, tree):
                return False
            if line.keyword in keywords and matched == match and not self._other_policy(Origin(file, line.number, matched)):
                return True
        return False

    def _places(self, requested: t.Dict[str, str], match: t.Dict[str, t.List[str]]) -> t.Iterator[t.Tuple[str, _Changes]]:
        """Yields (place, changes to the base), the best first."""
        text = body(requested, match)
        for pattern in self.base.drop_in_patterns():
            directory, form = os.path.split(pattern)
            suffix = form.rpartition("*")[2]
            if not re.match(r"^\.?[A-Za-z0-9._-]*\Z", suffix):
                continue
            for prefix in _PREFIXES:
                path = "{0}/{1}{2}{3}{4}".format(directory, prefix, _STEM, self.name, suffix)
                if fnmatch.fnmatchcase(os.path.basename(path), form):
                    yield "drop-in {0}".format(path), {path: self._drop_in(text, directory)}
            if len(requested) > 1 and "StreamLocalBindMask" in requested:
                rest = collections.OrderedDict((keyword, value) for keyword, value in requested.items() if keyword != "StreamLocalBindMask")
                parts = ((_PREFIXES[0], rest), (_PREFIXES[-1], {"StreamLocalBindMask": requested["StreamLocalBindMask"]}))
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
                # Match all overrides every global line. Match blocks before it keep their effect.
                everybody = {self.path: with_block(main, self.name, body(requested, {"all": []}), self._before(main, "all"))}
                yield "{0}, before its first Match all".format(self.path), everybody
            return
        closed = text + ["Match all"]
        yield "{0}, before its first Match".format(self.path), {self.path: with_block(main, self.name, closed, self._before(main, ""))}
        # The end of an included file ends its Match. A block at the head would need Match all, and the lines after it would become part of that.
        own = "{0}/{1}{2}.conf".format(os.path.dirname(self.path), _STEM, self.name)
        yield "{0}, included at the head of {1}".format(own, self.path), {
            own: self._drop_in(text, ""), self.path: with_block(main, self.name, ["Include " + quote(own)], 1)}
        yield "end of {0}".format(self.path), {self.path: with_block(main, self.name, closed)}

    @staticmethod
    def _before(main: str, criteria_: str) -> t.Optional[int]:
        """The line number of the first Match with these criteria, or of the comment above it; None if there is no such Match."""
        # Our own blocks end with Match all; that one does not count.
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

    def _try(self, place: str, changes: _Changes, requested: t.Dict[str, str], match: t.Dict[str, t.List[str]], derived: Derived, samples: t.List[Sample],
             before: t.List[Effective]) -> t.Union[Plan, str]:
        """Tests a place; returns the plan, or, as text, the reason why the place does not work."""
        combined = dict(self.base_changes, **changes)
        tree = Tree(self.view.with_changes(combined), self.path)
        tested = tree if not derived.stand_in else Tree(self.view.with_changes(dict(combined, **self._with_stand_in(changes, match, derived))), self.path)
        try:
            after = self.program.effective(tested, [sample.connection for sample in samples])
        except Refused as error:
            return error.why
        applies = [any(self._in_place(origin, changes, tree) for _keyword, origin in one.lines) for one in after]
        exceptions = []
        for sample, old, new, applied in zip(samples, before, after, applies):
            problem = self._problem(sample, old, new, requested, applied, tree)
            if sample.role == "anybody" and self._is_exception(new, requested):
                exceptions.append(problem)
            elif problem:
                return problem
        if exceptions and len(exceptions) == len(samples):
            return exceptions[0]
        if not any(applies) and any(sample.role == "named" for sample in samples):
            return "it applies to none of the connections in verify"
        overrides = self._overrides(samples, before, after, requested, applies)
        warnings = ["a Match of others takes precedence over the policy: " + problem for problem in exceptions]
        if derived.stand_in:
            warnings.append("{0} has no member yet: the policy was tested with {1} instead".format(",".join(match["Group"]), derived.users[0]))
        different = {path: text for path, text in combined.items() if text != self.view.read(path)}
        return Plan(different, place, samples, self._current(samples, before), after, overrides, warnings, derived.users[0] if derived.stand_in else "")

    def _current(self, samples: t.List[Sample], before: t.List[Effective]) -> t.List[Effective]:
        if not self.base_changes:
            return before
        try:
            return self.program.effective(self.current, [sample.connection for sample in samples])
        except Refused:
            # Somebody broke the policy by hand: sshd rejects the current files, so they have no values to compare.
            return before

    @staticmethod
    def _with_stand_in(changes: _Changes, match: t.Dict[str, t.List[str]], derived: Derived) -> _Changes:
        """The changes with a user in place of a group without members, since no connection matches an empty group."""
        other = collections.OrderedDict((name, values) for name, values in match.items() if name != "Group")
        other["User"] = [derived.users[0]]
        return {path: (text or "").replace(head(match), head(other)) for path, text in changes.items()}

    def _in_place(self, origin: Origin, changes: _Changes, tree: Tree) -> bool:
        if origin.file not in changes:
            return False
        return origin.file != self.path or block_at(tree.files[self.path], origin.line) == self.name

    @staticmethod
    def _is_exception(new: Effective, requested: t.Dict[str, str]) -> bool:
        """Whether a Match of others sets other values for that user; a global policy accepts that."""
        differing = [new.origin(keyword) for keyword, value in requested.items() if not same(keyword, new.value(keyword), value)]
        return bool(differing) and all(origin is not None and origin.second for origin in differing)

    def _problem(self, sample: Sample, old: Effective, new: Effective, requested: t.Dict[str, str], applied: bool, tree: Tree) -> str:
        expected = dict(requested) if sample.role in ("inside", "anybody") or (sample.role == "named" and applied) else {}
        for keyword, value in expected.items():
            if not same(keyword, new.value(keyword), value):
                return "{0} would have {1} {2}, {3}".format(sample.label, keyword, _shown(new.value(keyword)), self._source(new.origin(keyword), tree))
            other = self._other_policy(old.origin(keyword))
            if other and not same(keyword, old.value(keyword), value):
                return "{0} has {1} {2} by the policy {3}, {4}".format(
                    sample.label, keyword, _shown(old.value(keyword)), other, self._source(old.origin(keyword), self.base))
        if expected.get("DisableForwarding") != "yes" and new.value("DisableForwarding") == "yes" and allows_forwarding(expected):
            return "{0} would have DisableForwarding yes, {1}, which overrides all".format(sample.label, self._source(new.origin("DisableForwarding"), tree))
        for keyword in sorted(set(old.values) | set(new.values)):
            managed = keyword in {name.lower() for name in expected}
            if not managed and old.values.get(keyword) != new.values.get(keyword):
                return "{0} would have {1} {2} instead of {3}".format(sample.label, keyword, _shown(new.value(keyword)), _shown(old.value(keyword)))
        return self._expectation(sample, new, tree)

    def _expectation(self, sample: Sample, new: Effective, tree: Tree) -> str:
        for keyword, value in sample.must.items():
            if not same(keyword, new.value(keyword), value):
                return "{0} must have {1} {2}, but would have {3}, {4}".format(
                    sample.label, keyword, value, _shown(new.value(keyword)), self._source(new.origin(keyword), tree))
        for keyword, value in sample.must_not.items():
            if same(keyword, new.value(keyword), value):
                return "{0} must not have {1} {2}, but would have it, {3}".format(sample.label, keyword, value, self._source(new.origin(keyword), tree))
        return ""

    def _source(self, origin: t.Optional[Origin], tree: Tree) -> str:
        if origin is None:
            return "sshd's default"
        text = tree.line_text(origin.file, origin.line)[:120]
        where = "{0}:{1}".format(origin.file, self._line_now(origin, tree))
        return "from {0} ({1})".format(where, text) if text else "from {0}".format(where)

    def _line_now(self, origin: Origin, tree: Tree) -> int:
        """A line's number in the file as it is now, where our own block may be missing or have another place."""
        if origin.file != self.path:
            return origin.line
        shifted, current = (block_lines(one.files[self.path], self.name) for one in (tree, self.current))
        count = origin.line - sum(1 for number in shifted if number < origin.line)
        return next(number for number in itertools.count(count) if number - sum(1 for own in current if own <= number) >= count)

    def _overrides(self, samples: t.List[Sample], before: t.List[Effective], after: t.List[Effective], requested: t.Dict[str, str],
                   applies: t.List[bool]) -> t.List[t.Dict[str, t.Any]]:
        found: t.Dict[tuple, dict] = collections.OrderedDict()
        for sample, old, new, applied in zip(samples, before, after, applies):
            for keyword in requested:
                origin = old.origin(keyword)
                if applied and origin is not None and not same(keyword, old.value(keyword), new.value(keyword) or ""):
                    key = (origin.file, origin.line, keyword)
                    found.setdefault(key, {"file": origin.file, "line": self._line_now(origin, self.base), "keyword": keyword, "value": old.value(keyword),
                                           "connections": []})["connections"].append(spec(sample.connection))
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
        reasons = list(collections.OrderedDict.fromkeys(problem for _place, problem in problems))
        why = "; ".join(reasons) if reasons else "{0} belongs to the vendor and includes no directory".format(self.path)
        return SessionError("no place in sshd's configuration makes the policy {0} effective".format(self.name), why,
                            "change the line or value that is named here, or change the policy; nothing was changed")


def _shown(value: t.Optional[str]) -> str:
    return "no value" if value is None else value


def report(plan: Plan) -> t.List[t.Dict[str, t.Any]]:
    """The values before and after, for each connection that was tested."""
    return [{"connection": spec(sample.connection), "about": sample.label, "before": values(before), "after": values(after), "origins": origins(after)}
            for sample, before, after in zip(plan.samples, plan.before, plan.after)]
