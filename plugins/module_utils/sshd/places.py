# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The places that a policy could have in a configuration, the best first.

A drop-in comes first: other tools leave it alone. Next is a file of ours that the main file includes at its head: the end of that file ends its Match. A block
with a Match in the main file ends with Match all, and what a tool appends after it would be part of that.
"""

import collections
import fnmatch
import os
import re
import typing as t

from . import blocks, own_policies, precedence
from .config import Tree, arguments, lines, patterns
from .policy import Policy, body

# The first three sort first almost everywhere. The last is for StreamLocalBindMask, of which the last line counts.
_PREFIXES = ("00-", "0-", "0!", "zz-")
#: Texts by path, None to remove the file.
Changes = t.Dict[str, t.Optional[str]]
Place = t.Tuple[str, Changes]


class Places:
    """The places for policies.

    Args:
        tree: the configuration, in which the policy itself does not stand.
        writable: whether the main file may be edited.
        made: directories that were created for policies of ours.
    """

    def __init__(self, tree: Tree, writable: bool, made: t.Iterable[str] = ()) -> None:
        self.tree, self.writable, self.made = tree, writable, set(made)
        self.main = tree.files[tree.path]
        self.forbidden = _of_the_client(tree)
        self.policies = {name: written.policy for name, written in own_policies.find(tree).items()}

    def misplaced(self) -> t.List[str]:
        """A warning for each Include of a directory that ssh reads."""
        return ["{0} includes {1}, which the client ssh reads: no policy is written there, since ssh would reject its lines; is sshd_config.d meant?".format(
            self.tree.path, pattern) for pattern in self.tree.drop_in_patterns() if self._reads(pattern)]

    def _reads(self, pattern: str) -> bool:
        return any(os.path.dirname(pattern) == os.path.dirname(other) for other in self.forbidden)

    def _is_ours_to_use(self, pattern: str) -> bool:
        directory = os.path.dirname(pattern)
        if self._reads(pattern) or re.match(r"/usr/(?!local/)", directory) or "ssh" not in directory:
            return False
        # Distributions have this directory by default.
        return os.path.isdir(self.tree.view.real(directory)) or directory == os.path.dirname(self.tree.path) + "/sshd_config.d" or directory in self.made

    def of(self, policy: Policy, number: t.Optional[int] = None) -> t.Iterator[Place]:
        """Yields (place, changes).

        Args:
            policy: the policy.
            number: its rank among the policies of ours, as part of its file's name; None if the name is enough.
        """
        inner = body(policy.requested, policy.match)
        for pattern in self.tree.drop_in_patterns():
            if self._is_ours_to_use(pattern):
                yield from self._drop_ins(policy, inner, pattern, number)
        if self.writable:
            yield from self._in_main(policy, inner)

    def _drop_ins(self, policy: Policy, inner: t.List[str], pattern: str, number: t.Optional[int]) -> t.Iterator[Place]:
        directory, form = os.path.split(pattern)
        suffix = form.rpartition("*")[2]
        if not re.match(r"^\.?[A-Za-z0-9._-]*\Z", suffix):
            return
        stem = own_policies.STEM + ("" if number is None else "{0:02d}-".format(number)) + policy.name + suffix
        for prefix in _PREFIXES:
            if fnmatch.fnmatchcase(prefix + stem, form):
                path = "{0}/{1}{2}".format(directory, prefix, stem)
                yield "drop-in {0}".format(path), {path: self.file(policy.name, inner, directory)}
        if len(policy.requested) > 1 and "StreamLocalBindMask" in policy.requested:
            rest = collections.OrderedDict((keyword, value) for keyword, value in policy.requested.items() if keyword != "StreamLocalBindMask")
            parts = ((_PREFIXES[0], rest), (_PREFIXES[-1], {"StreamLocalBindMask": policy.requested["StreamLocalBindMask"]}))
            yield "two drop-ins in {0}".format(directory), {
                "{0}/{1}{2}".format(directory, prefix, stem): self.file(policy.name, body(part, policy.match), directory)
                for prefix, part in parts if fnmatch.fnmatchcase(prefix + stem, form)}

    def file(self, name: str, inner: t.List[str], directory: str) -> str:
        """The text of a drop-in in a directory."""
        return own_policies.drop_in(name, inner, directory in self.made or not os.path.isdir(self.tree.view.real(directory)))

    def _in_main(self, policy: Policy, inner: t.List[str]) -> t.Iterator[Place]:
        path = self.tree.path
        first = _before(self.main, "")
        if not policy.match:
            yield "head of {0}".format(path), self._block(policy, inner, 1)
            yield "{0}, before its first Match".format(path), self._block(policy, inner, first)
            if _before(self.main, "all"):
                # Match all overrides every global line. Match blocks before it keep their effect.
                yield "{0}, before its first Match all".format(path), self._block(policy, body(policy.requested, {"all": []}), _before(self.main, "all"))
            return
        own = "{0}/{1}{2}.conf".format(os.path.dirname(path), own_policies.STEM, policy.name)
        if not any(fnmatch.fnmatchcase(own, pattern) for pattern in self.forbidden):
            yield "{0}, included at the head of {1}".format(own, path), dict(
                self._block(policy, own_policies.include(own), 1), **{own: own_policies.drop_in(policy.name, inner, False)})
        closed = inner + ["Match all"]
        yield "{0}, before its first Match".format(path), self._block(policy, closed, first)
        yield "end of {0}".format(path), self._block(policy, closed, None)

    def _block(self, policy: Policy, inner: t.List[str], before: t.Optional[int]) -> Changes:
        inner = own_policies.hidden(inner)
        return {self.tree.path: blocks.with_block(self.main, policy.name, inner, self._sorted(policy, inner, before))}

    def _sorted(self, policy: Policy, inner: t.List[str], before: t.Optional[int]) -> t.Optional[int]:
        """The line for a block among adjacent blocks of ours: global ones first, then those with a Match, the most specific first, then those for Match all."""
        end = len(self.main.split("\n")) + (not self.main.endswith("\n"))
        place = end if before is None else before
        adjacent: t.List[blocks.Block] = []
        found = blocks.blocks(self.main)
        for block in reversed(found):
            if block.last == (adjacent[0].first if adjacent else place) - 1:
                adjacent.insert(0, block)
        for block in found:
            if block.first == (adjacent[-1].last + 1 if adjacent else place):
                adjacent.append(block)
        later = next((block.first for block in adjacent if self._key_of(block) > _block_key(policy, inner)), None)
        if later is not None:
            return later
        place = adjacent[-1].last + 1 if adjacent else place
        return None if place >= end else place

    def _key_of(self, block: blocks.Block) -> t.Tuple[t.Any, ...]:
        return _block_key(self.policies[block.name], [text for _number, text in blocks.body(self.main, block.name)])

    def again(self, written: own_policies.Written, policy: Policy, current: Tree) -> t.Iterator[Place]:
        """Yields the place that the policy has now, with its new lines.

        Args:
            written: as it is written. policy: as it is to be. current: the configuration in which it is written.
        """
        inner = body(policy.requested, policy.match)
        main = current.files[current.path]
        block = next((one for one in blocks.blocks(main) if one.name == policy.name), None)
        if len(written.files) > 1 or bool(written.policy.match) != bool(policy.match):
            return
        if not block:
            for path in written.files:
                directory = os.path.dirname(path)
                if path in current.files and not self._reads(path):
                    yield "drop-in {0}".format(path), {path: own_policies.drop_in(policy.name, inner, directory in written.made or directory in self.made)}
            return
        if not self.writable:
            return
        # Without the block, the line after it has its number.
        before = None if block.joined and block.last == len(main.split("\n")) else block.first
        for path in written.files:
            yield "{0}, included by {1}".format(path, current.path), dict(
                self._block(policy, own_policies.include(path), before), **{path: own_policies.drop_in(policy.name, inner, False)})
        if not written.files:
            everybody = not policy.match and any(line.keyword == "match" for line in lines("\n".join(text for _number, text in blocks.body(main, policy.name))))
            now = body(policy.requested, {"all": []}) if everybody else inner + (["Match all"] if policy.match else [])
            yield "{0}, line {1}".format(current.path, block.first), self._block(policy, now, before)


def _block_key(policy: Policy, inner: t.List[str]) -> t.Tuple[t.Any, ...]:
    heads = any(line.keyword == "match" for line in lines("\n".join(inner)))
    return (0 if not policy.match and not heads else 1 if policy.match else 2,) + precedence.key(policy)


def _before(main: str, criteria: str) -> t.Optional[int]:
    """The line number of the first Match with these criteria, or of the comment above it; None if there is no such Match."""
    # Our own blocks end with Match all; that one does not count.
    inner = blocks.ours(main) if criteria else ()
    first = next((line.number for line in lines(main) if line.keyword == "match" and line.rest.lower().startswith(criteria) and line.number not in inner), None)
    if first is None:
        return None
    raw = main.split("\n")
    while first > 1 and raw[first - 2].lstrip(" \t").startswith("#") and not blocks.ends(raw[first - 2]):
        first -= 1
    return first


def _of_the_client(tree: Tree) -> t.List[str]:
    """The patterns of the files that the client ssh reads on this host."""
    directory = os.path.dirname(tree.path)
    found = [directory + "/ssh_config.d/*", "/etc/ssh/ssh_config.d/*"]
    for line in lines(tree.view.read(directory + "/ssh_config") or ""):
        if line.keyword == "include":
            found += [pattern for pattern in patterns(line) if arguments(line.rest)]
    return found
