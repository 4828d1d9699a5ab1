# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the place in sshd's configuration where a policy takes effect, beside other policies of ours.

Nothing here writes. sshd reads a copy of the whole configuration with the policy in that place. If sshd then has every requested
value, and every other value is unchanged, for every sample connection, the place is used. The other policies of ours stay where they are, if they still
hold there. Otherwise all of them get new places, the one that counts last first.
"""

import collections
import itertools
import os
import re
import typing as t

from ..common.errors import SessionError
from ..common.text import clean
from . import blocks, exceptions, own_policies, precedence
from .config import Tree, View
from .places import Changes, Place, Places
from .policy import Policy, allows_forwarding, head, same
from .program import Connection, Effective, Origin, Program, Refused, spec
from .reports import origins, values
from .samples import Accounts, Derived, Sample

#: What tools write at the head of a file of which they write every line.
_MANAGED = re.compile(r"(?i)^\s*#.*(?:\b(?:managed|generated|maintained|controlled) (?:by|with|using)\b|\bansible managed\b|\bdo not edit\b)")
_MOST_USERS = 8
_MOST_OF_EVERYBODY = 3


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
        exceptions: lines under a Match for whose connections a global policy does not hold, from exceptions.find().
        precedence: values of a policy of ours that those of another one override.
    """

    changes: Changes
    place: str
    samples: t.List[Sample]
    before: t.List[Effective]
    after: t.List[Effective]
    overrides: t.List[t.Dict[str, t.Any]]
    warnings: t.List[str]
    stand_in: str = ""
    exceptions: t.Sequence[t.Dict[str, t.Any]] = ()
    precedence: t.Sequence[t.Dict[str, str]] = ()


class _Tested(t.NamedTuple):
    """What sshd has for a policy's sample connections in a tree: the problem, if there is one, else the values and the exceptions that Match lines make."""

    problem: str
    after: t.List[Effective]
    exceptions: t.List[str]


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
        self.own = own_policies.find(self.current)
        self._check_foreign()
        self.base_changes = self._removal([name])
        self.base = Tree(view.with_changes(self.base_changes), path)
        self.bare_changes = self._removal(self.own)
        self.bare = Tree(view.with_changes(self.bare_changes), path)
        self.places = Places(self.base, writable, self._made)
        self._bare_values: t.Dict[Connection, Effective] = {}

    def _check_foreign(self) -> None:
        found = [(name, one) for name, written in self.own.items() for one in written.foreign]
        if found:
            name, first = found[0]
            match = self.own[name].policy.match
            raise SessionError(
                "{0}:{1} ({2}) stands in the block of the policy {3}".format(first.file, first.number, first.text[:120], name),
                "it is not a line of the policy{0}; there, it is for {1} alone".format(
                    ", like {0} more".format(len(found) - 1) if len(found) > 1 else "", head(match) if match else "everybody"),
                "move it out of the block, before the first Match of the file if it is for everybody; nothing was changed")

    def _removal(self, names: t.Iterable[str]) -> Changes:
        changes: Changes = {}
        text = main = self.current.files[self.path]
        for name in names:
            if name in self.own:
                changes.update(dict.fromkeys(self.own[name].files))
            text = blocks.without_block(text, name)
        if text != main:
            changes[self.path] = text
        return changes

    @property
    def _made(self) -> t.Set[str]:
        return {directory for written in self.own.values() for directory in written.made}

    # --- absent ---

    def absent(self, samples: t.List[Sample]) -> Plan:
        """The plan that removes the policy."""
        connections = [sample.connection for sample in samples]
        changes = dict(self.base_changes, **self._handed_on())
        tree = Tree(self.view.with_changes(changes), self.path)
        after = self._effective(tree, connections, "without the policy")
        before = self._current(samples, after)
        problems = [problem for problem in (self._expectation(sample, new, tree) for sample, new in zip(samples, after)) if problem]
        if problems:
            raise SessionError("without the policy {0} sshd would not meet verify".format(self.name), "; ".join(problems),
                               "correct verify; nothing was changed")
        return Plan(changes, "", samples, before, after, [], self._notes())

    def _handed_on(self) -> Changes:
        """The mark of a directory that was made for the policy, in another policy's file there."""
        written = self.own.get(self.name)
        changes: Changes = {}
        for directory in written.made if written else ():
            others = [(one, path) for name, one in self.own.items() if name != self.name for path in one.files if os.path.dirname(path) == directory]
            if others and not any(directory in one.made for one, _path in others):
                one, path = others[0]
                lines = (self.view.read(path) or "").split("\n")[1:-1]
                changes[path] = own_policies.drop_in(one.policy.name, lines, True)
        return changes

    def made_directories(self) -> t.List[str]:
        """Directories that were created for the policy's drop-ins."""
        return self.own[self.name].made if self.name in self.own else []

    def removal_samples(self, match: t.Dict[str, t.List[str]]) -> t.List[Sample]:
        """Sample connections for the removal of a policy, inside and outside its Match. If its group no longer exists, those of ordinary users."""
        match = match or (self.own[self.name].policy.match if self.name in self.own else {})
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
        policy = Policy(self.name, match, requested)
        derived = Derived(match, self.accounts)
        policies = {name: written.policy for name, written in self.own.items()}
        policies[self.name] = policy
        self._check_conflicts(policy, policies)
        samples = list(verify) or self._samples(policy, derived)
        # If sshd rejects the files as they are, this shows it.
        self._bare(samples)
        problems = []
        for place, changes in itertools.chain(self._beside(policy), self._anew(policies, verify)):
            different = {path: text for path, text in changes.items() if text != self.view.read(path)}
            tree = Tree(self.view.with_changes(different), self.path)
            tested = self._test(tree, policy, derived, samples, policies)
            problem = tested.problem or (different and self._others_problem(tree, policies))
            if not problem:
                return self._plan(place, different, tree, policy, policies, derived, samples, tested, override)
            problems.append(problem)
        raise self._no_place(problems)

    def _check_conflicts(self, policy: Policy, policies: t.Dict[str, Policy]) -> None:
        """Raises SessionError if the policy, or another one of ours, would hold for no connection."""
        for other in policies.values():
            if other.name == policy.name:
                continue
            first, second = sorted((policy, other), key=precedence.key)
            keywords = precedence.differing(first, second)
            if not keywords or not precedence.covers(first.match, second.match):
                continue
            keyword = keywords[0]
            where = "for each connection that {0} is for".format(second.name) if second.match else "for everybody"
            raise SessionError(
                "the policies {0} and {1} cannot both hold".format(policy.name, other.name),
                "{0} is {1} by the policy {2}, from {3}, {4}".format(keyword, other.requested[keyword], other.name, self._place_of(other.name), where),
                "change one of the two, or merge them; nothing was changed")

    def _place_of(self, name: str) -> str:
        written = self.own[name]
        return written.files[0] if written.files else self.path

    def _samples(self, policy: Policy, derived: Derived) -> t.List[Sample]:
        users = derived.users[:_MOST_USERS if policy.match else _MOST_OF_EVERYBODY]
        samples = [Sample(derived.inside(user), "inside" if policy.match else "anybody", {}, {}, self._label(user, policy)) for user in users]
        return samples + [Sample(one, "outside", {}, {}, "{0} (does not match: {1})".format(spec(one), name)) for name, one in derived.outside(users[0])]

    def _label(self, user: str, policy: Policy) -> str:
        if policy.match:
            return "{0} (matches the policy)".format(user)
        return "{0} (an ordinary user)".format(user) if self.accounts.ordinary(user) else "another account"

    def _bare(self, samples: t.Iterable[Sample]) -> t.List[Effective]:
        """sshd's values without any policy of ours."""
        wanted = [sample.connection for sample in samples]
        new = [one for one in wanted if one not in self._bare_values]
        if new:
            self._bare_values.update(zip(new, self._effective(self.bare, new, "without the policy")))
        return [self._bare_values[one] for one in wanted]

    def _beside(self, policy: Policy) -> t.Iterator[Place]:
        """The places for the policy while the others stay where they are; first the one that it has."""
        written = self.own.get(self.name)
        again = list(self.places.again(written, policy, self.current)) if written else []
        found = sorted(self.places.of(policy), key=lambda one: self._is_preceded(one[1], policy))
        for place, changes in again + found:
            yield place, dict(self.base_changes, **changes)

    def _is_preceded(self, changes: Changes, policy: Policy) -> bool:
        """Whether sshd reads a line of others with the same keyword earlier; that line may count for a connection that is not among the samples."""
        tree = Tree(self.view.with_changes(dict(self.base_changes, **changes)), self.path)
        keywords = {keyword.lower() for keyword in policy.requested} - {"streamlocalbindmask"}
        for file, line, under in tree.reading():
            name = own_policies.owner(tree, Origin(file, line.number, bool(under)))
            if name == self.name:
                return False
            if line.keyword in keywords and bool(under) == bool(policy.match) and not name:
                return True
        return False

    def _anew(self, policies: t.Dict[str, Policy], verify: t.Sequence[Sample]) -> t.Iterator[Place]:
        """New places for all policies of ours."""
        if len(policies) < 2:
            return
        changes, place = dict(self.bare_changes), ""
        ranked = sorted(policies.values(), key=precedence.key)
        placed: t.Dict[str, Policy] = {}
        for number, policy in reversed(list(enumerate(ranked, 1))):
            placed[policy.name] = policy
            found = self._first(changes, policy, number if policy.match else None, placed, verify if policy.name == self.name else ())
            if found is None:
                return
            changes.update(found[1])
            place = found[0] if policy.name == self.name else place
        yield place, changes

    def _first(self, changes: Changes, policy: Policy, number: t.Optional[int], placed: t.Dict[str, Policy],
               verify: t.Sequence[Sample]) -> t.Optional[Place]:
        try:
            derived = Derived(policy.match, self.accounts)
        except SessionError:
            return None
        samples = list(verify) or self._samples(policy, derived)
        for place, more in Places(Tree(self.view.with_changes(changes), self.path), self.writable, self._made).of(policy, number):
            tree = Tree(self.view.with_changes(dict(changes, **more)), self.path)
            if not self._test(tree, policy, derived, samples, placed).problem:
                return place, more
        return None

    def _others_problem(self, tree: Tree, policies: t.Dict[str, Policy]) -> str:
        """Why another policy of ours would no longer hold; empty if each one does, or did not before."""
        for name, policy in policies.items():
            if name == self.name:
                continue
            try:
                derived = Derived(policy.match, self.accounts)
            except SessionError:
                # Its group is gone.
                continue
            samples = self._samples(policy, derived)
            problem = self._test(tree, policy, derived, samples, policies).problem
            if problem:
                before = {one: written.policy for one, written in self.own.items()}
                if not self._test(self.current, policy, derived, samples, before).problem:
                    return "the policy {0} would not hold any more: {1}".format(name, problem)
        return ""

    def _test(self, tree: Tree, policy: Policy, derived: Derived, samples: t.List[Sample], policies: t.Dict[str, Policy]) -> _Tested:
        """What sshd has for a policy's sample connections in a tree."""
        shown = tree if not derived.stand_in else self._with_stand_in(tree, policy, derived)
        try:
            after = self.program.effective(shown, [sample.connection for sample in samples])
        except Refused as error:
            return _Tested(error.why, [], [])
        found = []
        for sample, old, new in zip(samples, self._bare(samples), after):
            expected = self._expected(sample, new, policy, policies, shown)
            problem = self._problem(sample, old, new, policy, policies, expected, shown)
            if problem and sample.role == "anybody" and self._is_exception(new, _of(expected, policy), shown):
                found.append(problem)
            elif problem:
                return _Tested(problem, after, [])
        if found and len(found) == len(samples):
            return _Tested(found[0], after, [])
        if any(sample.role == "named" for sample in samples) and not any(policy.name in own_policies.applied(shown, new) for new in after):
            return _Tested("it applies to none of the connections in verify", after, [])
        return _Tested("", after, found)

    def _with_stand_in(self, tree: Tree, policy: Policy, derived: Derived) -> Tree:
        """The tree with a user in place of a group without members, since no connection matches an empty group."""
        other = collections.OrderedDict((name, words) for name, words in policy.match.items() if name != "Group")
        other["User"] = [derived.users[0]]
        changes = {}
        for path, text in tree.files.items():
            for old, new in zip((head(policy.match), own_policies.hidden([head(policy.match)])[0]), (head(other), own_policies.hidden([head(other)])[0])):
                text = text.replace(old, new)
            if text != tree.files[path]:
                changes[path] = text
        return Tree(tree.view.with_changes(changes), self.path)

    @staticmethod
    def _is_exception(new: Effective, requested: t.Dict[str, str], tree: Tree) -> bool:
        """Whether a Match of others sets other values for that user; a global policy accepts that."""
        found = [new.origin(keyword) for keyword, value in requested.items() if not same(keyword, new.value(keyword), value)]
        disabled = new.origin("DisableForwarding")
        if new.value("DisableForwarding") == "yes" and allows_forwarding(requested) and disabled:
            found.append(disabled)
        return bool(found) and all(origin is not None and origin.second and not own_policies.owner(tree, origin) for origin in found)

    @staticmethod
    def _expected(sample: Sample, new: Effective, policy: Policy, policies: t.Dict[str, Policy], tree: Tree) -> t.Dict[str, t.Tuple[str, str]]:
        """The values that the policies of ours that apply request for a connection, and the policy that each is from, by keyword."""
        names = own_policies.applied(tree, new)
        inside = sample.role in ("inside", "anybody")
        expected: t.Dict[str, t.Tuple[str, str]] = {}
        for one in sorted((one for one in policies.values() if one.name in names or (inside and one.name == policy.name)), key=precedence.key):
            for keyword, value in one.requested.items():
                expected.setdefault(keyword, (value, one.name))
        return expected

    def _problem(self, sample: Sample, old: Effective, new: Effective, policy: Policy, policies: t.Dict[str, Policy],
                 expected: t.Dict[str, t.Tuple[str, str]], tree: Tree) -> str:
        """Why sshd's values for a sample connection are not those that the policies of ours request."""
        for keyword, (value, name) in expected.items():
            if not same(keyword, new.value(keyword), value):
                if name != policy.name and not policies[name].match and new.origin(keyword) and new.origin(keyword).second:
                    # A Match of others has precedence over another policy of ours that is global.
                    continue
                return "{0} would have {1} {2}, {3}".format(sample.label, keyword, _shown(new.value(keyword)), self._source(new.origin(keyword), tree))
        mine = _of(expected, policy)
        if mine.get("DisableForwarding") != "yes" and new.value("DisableForwarding") == "yes" and allows_forwarding(mine):
            return "{0} would have DisableForwarding yes, {1}, which overrides all".format(sample.label, self._source(new.origin("DisableForwarding"), tree))
        managed = {keyword.lower() for keyword in expected}
        for keyword in sorted(set(old.values) | set(new.values)):
            if keyword not in managed and old.values.get(keyword) != new.values.get(keyword):
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
        name = own_policies.owner(tree, origin)
        text = tree.line_text(origin.file, origin.line)[:120]
        by = "by the policy {0}, ".format(name) if name not in ("", self.name) else ""
        where = "{0}from {1}:{2}".format(by, origin.file, self._line_now(origin, tree))
        return "{0} ({1})".format(where, text) if text else where

    def _line_now(self, origin: Origin, tree: Tree) -> int:
        """A line's number in the main file as it is now, where blocks of ours may be missing or have another place."""
        if origin.file != self.path:
            return origin.line
        shifted, current = (blocks.ours(one.files[self.path]) for one in (tree, self.current))
        count = origin.line - sum(1 for number in shifted if number < origin.line)
        return next(number for number in itertools.count(count) if number - sum(1 for own in current if own <= number) >= count)

    def _numbered_now(self, exception: t.Dict[str, t.Any], tree: Tree) -> t.Dict[str, t.Any]:
        return dict(exception, line=self._line_now(Origin(exception["file"], exception["line"], True), tree),
                    match_line=self._line_now(Origin(exception["match_file"], exception["match_line"], True), tree))

    # --- the plan ---

    def _plan(self, place: str, changes: Changes, tree: Tree, policy: Policy, policies: t.Dict[str, Policy], derived: Derived, samples: t.List[Sample],
              tested: _Tested, override: bool) -> Plan:
        overrides = self._overrides(samples, tested.after, policy, tree)
        if overrides and not override:
            raise SessionError(
                "the policy {0} would override others' lines, which override: false forbids".format(self.name),
                "; ".join("{file}:{line} has {keyword} {value}".format(**one) for one in overrides),
                "change {0} yourself, or allow override; nothing was changed".format(overrides[0]["file"]))
        found = [self._numbered_now(one, tree) for one in exceptions.find(tree, policy)] if not policy.match else []
        ranks = self._ranks(policy, policies)
        warnings = self._notes() + exceptions.warnings(policy, found)
        warnings += self.places.misplaced()
        if blocks.body(tree.files[self.path], self.name):
            warnings += self._managed()
        if changes:
            warnings += _precedence_warnings(ranks)
        if derived.stand_in:
            user = derived.users[0] if self.accounts.ordinary(derived.users[0]) else "another account"
            warnings.append("{0} has no member yet: the policy was tested with {1} instead".format(",".join(policy.match["Group"]), user))
        before = self._current(samples, self._bare(samples)) if changes else tested.after
        return Plan(changes, place, samples, before, tested.after, overrides, warnings, derived.users[0] if derived.stand_in else "", found, ranks)

    def _current(self, samples: t.List[Sample], otherwise: t.List[Effective]) -> t.List[Effective]:
        if not self.own:
            return otherwise
        try:
            return self.program.effective(self.current, [sample.connection for sample in samples])
        except Refused:
            # Somebody broke a policy by hand: sshd rejects the current files, so they have no values to compare.
            return otherwise

    def _notes(self) -> t.List[str]:
        """Warnings about the files as they are."""
        found = ["sshd reads the backup {0} of an earlier version as configuration: move it away".format(path) for path in own_policies.backups(self.current)]
        written = self.own.get(self.name)
        if written and written.edited:
            first = written.edited[0]
            found.append("{0}:{1} ({2}) is not part of the policy {3}, and is removed".format(first.file, first.number, first.text[:80], self.name))
        return found

    def _managed(self) -> t.List[str]:
        """A warning if the main file says that another tool writes all of it."""
        found = next((line for line in self.bare.files[self.path].split("\n")[:30] if _MANAGED.search(line)), "")
        return ["{0} says that another tool writes it ({1}), whose next run may remove the policy: let that tool include {2}/sshd_config.d/*.conf".format(
            self.path, clean(found.strip("# \t\r"))[:60], os.path.dirname(self.path))] if found else []

    def _overrides(self, samples: t.List[Sample], after: t.List[Effective], policy: Policy, tree: Tree) -> t.List[t.Dict[str, t.Any]]:
        found: t.Dict[tuple, dict] = collections.OrderedDict()
        for sample, old, new in zip(samples, self._bare(samples), after):
            for keyword in policy.requested:
                origin = old.origin(keyword)
                mine = own_policies.owner(tree, new.origin(keyword)) == policy.name
                if mine and origin is not None and not same(keyword, old.value(keyword), new.value(keyword) or ""):
                    key = (origin.file, origin.line, keyword)
                    found.setdefault(key, {"file": origin.file, "line": self._line_now(origin, self.bare), "keyword": keyword, "value": old.value(keyword),
                                           "connections": []})["connections"].append(spec(sample.connection))
        return list(found.values())

    def _ranks(self, policy: Policy, policies: t.Dict[str, Policy]) -> t.List[t.Dict[str, str]]:
        """Values of a policy of ours that those of another one override where both apply; one of the two is this policy."""
        found = []
        for other in policies.values():
            if other.name == policy.name or precedence.disjoint(policy.match, other.match):
                continue
            first, second = sorted((policy, other), key=precedence.key)
            found += [{"keyword": keyword, "policy": first.name, "value": first.requested[keyword], "over": second.name,
                       "over_value": second.requested[keyword]} for keyword in precedence.differing(first, second)]
        return found

    def _no_place(self, problems: t.List[str]) -> SessionError:
        reasons = list(collections.OrderedDict.fromkeys(problems)) + self.places.misplaced()
        why = "; ".join(reasons) if reasons else "{0} belongs to the vendor and includes no directory".format(self.path)
        return SessionError("no place in sshd's configuration makes the policy {0} effective".format(self.name), why,
                            "change the line or value that is named here, or change the policy; nothing was changed")


def _of(expected: t.Dict[str, t.Tuple[str, str]], policy: Policy) -> t.Dict[str, str]:
    """The values by keyword that are from one policy."""
    return {keyword: value for keyword, (value, name) in expected.items() if name == policy.name}


def _precedence_warnings(ranks: t.List[t.Dict[str, str]]) -> t.List[str]:
    found: t.Dict[t.Tuple[str, str], t.List[str]] = collections.OrderedDict()
    for one in ranks:
        found.setdefault((one["policy"], one["over"]), []).append(one["keyword"])
    return ["where the policies {0} and {1} both apply, {0} counts ({2})".format(first, second, ", ".join(keywords))
            for (first, second), keywords in found.items()]


def _shown(value: t.Optional[str]) -> str:
    return "no value" if value is None else value


def report(plan: Plan) -> t.List[t.Dict[str, t.Any]]:
    """The values before and after, for each connection that was tested."""
    return [{"connection": spec(sample.connection), "about": sample.label, "before": values(before), "after": values(after), "origins": origins(after)}
            for sample, before, after in zip(plan.samples, plan.before, plan.after)]
