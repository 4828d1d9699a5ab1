# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sample connections for which sshd is tested: some that a policy applies to, and some that just miss it."""

import collections
import fnmatch
import ipaddress
import re
import typing as t

from ..common.errors import SessionError
from .policy import policy
from .program import Connection, spec

#: The fields of a connection, as options of a module.
FIELDS = {name: {"type": "int" if name == "lport" else "str", "default": int(default) if name == "lport" else default}
          for name, default in zip(Connection._fields, Connection())}


class Sample(t.NamedTuple):
    """A connection for which sshd is tested.

    Attributes:
        connection: the connection.
        role: inside (the Match applies), outside, anybody (of a global policy) or named (by the user).
        must: values by keyword that it must have.
        must_not: values by keyword that it must not have.
        label: its name in messages.
    """

    connection: Connection
    role: str
    must: t.Dict[str, str]
    must_not: t.Dict[str, str]
    label: str


class Accounts:
    """The users and groups of the host; listed once, since a directory service may have thousands."""

    def __init__(self) -> None:
        self._all_groups: t.Optional[t.Dict[str, t.Tuple[int, t.List[str]]]] = None
        self._all_users: t.Optional[t.Dict[str, int]] = None

    def groups(self) -> t.Dict[str, t.Tuple[int, t.List[str]]]:
        """Group id and listed members, by group."""
        import grp

        if self._all_groups is None:
            self._all_groups = {group.gr_name: (group.gr_gid, list(group.gr_mem)) for group in grp.getgrall()}
        return self._all_groups

    def group(self, name: str) -> t.Optional[t.Tuple[int, t.List[str]]]:
        """Group id and members of one group, which a directory service may not list; None if it does not exist."""
        import grp

        try:
            found = grp.getgrnam(name)
        except KeyError:
            return None
        return found.gr_gid, list(found.gr_mem)

    def users(self) -> t.Dict[str, int]:
        """Primary group id by user, ordinary users first."""
        import pwd

        if self._all_users is None:
            self._all_users = {user.pw_name: user.pw_gid for user in sorted(pwd.getpwall(), key=lambda user: (not _is_ordinary(user.pw_uid), user.pw_uid))}
        return self._all_users

    @staticmethod
    def ordinary(user: str) -> bool:
        """Whether a user is a person, as far as the user id shows."""
        import pwd

        try:
            return _is_ordinary(pwd.getpwnam(user).pw_uid)
        except KeyError:
            return False


def _is_ordinary(uid: int) -> bool:
    return uid >= 1000 and not 60000 <= uid <= 65535


def _matched(value: str, values: t.List[str]) -> bool:
    """Whether patterns match a value, as in sshd's match_pattern_list: if a negated pattern matches, the result is no."""
    if any(fnmatch.fnmatchcase(value, pattern[1:]) for pattern in values if pattern.startswith("!")):
        return False
    return any(fnmatch.fnmatchcase(value, pattern) for pattern in values if not pattern.startswith("!"))


def _groups_of(user: str, accounts: Accounts) -> t.List[str]:
    users, groups = accounts.users(), accounts.groups()
    return [name for name, (number, members) in groups.items() if user in members or users.get(user) == number]


def _members(values: t.List[str], accounts: Accounts) -> t.List[str]:
    found = []
    for pattern in values:
        group = None if re.search(r"[!*?]", pattern) else accounts.group(pattern)
        if group:
            found += group[1] + [user for user, number in accounts.users().items() if number == group[0]]
    if any(re.search(r"[*?]", pattern) for pattern in values):
        found += [user for user in accounts.users() if any(_matched(name, values) for name in _groups_of(user, accounts))]
    # A user in a negated group is excluded, even if another group matches.
    refused = [pattern[1:] for pattern in values if pattern.startswith("!")]
    return [user for user in collections.OrderedDict.fromkeys(found)
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in refused for name in _groups_of(user, accounts))]


def _sample(values: t.List[str], default: str = "") -> str:
    """A value that the patterns match; the default if there are no patterns."""
    candidates = [re.sub(r"[*?]", char, pattern) for pattern in values if not pattern.startswith("!") for char in "xyz01"]
    return next((one for one in candidates if _matched(one, values)), candidates[0] if candidates else default)


def _address(values: t.List[str]) -> str:
    for pattern in values:
        if pattern.startswith("!"):
            continue
        if "/" in pattern:
            network = ipaddress.ip_network(pattern)
            candidates = [str(network[place]) for place in (min(1, network.num_addresses - 1), -1, 0)]
        else:
            candidates = [re.sub(r"\*", "1", pattern).replace("?", "1")]
        for address in candidates:
            if _address_matched(address, values):
                return address
    return ""


def _address_matched(address: str, values: t.List[str]) -> bool:
    def fits(pattern: str) -> bool:
        if "/" in pattern:
            try:
                return ipaddress.ip_address(address) in ipaddress.ip_network(pattern)
            except ValueError:
                return False
        return fnmatch.fnmatchcase(address, pattern)

    return not any(fits(pattern[1:]) for pattern in values if pattern.startswith("!")) and any(
        fits(pattern) for pattern in values if not pattern.startswith("!"))


class Derived:
    """Sample connections if the user names none: one to which the Match applies, and for each criterion one that it does not match.

    Args:
        match: from criteria().
        accounts: the users and groups of the host.
    Attributes:
        users: users to whom the policy applies, the best samples first; never empty.
        stand_in: whether the groups have no member yet, so that the Match is tested with a user in place of its group.
    """

    def __init__(self, match: t.Dict[str, t.List[str]], accounts: Accounts) -> None:
        self.match, self.accounts = match, accounts
        self.stand_in = False
        self.users = self._users()

    def _users(self) -> t.List[str]:
        users, groups = self.match.get("User"), self.match.get("Group")
        if groups:
            literal = [name for name in groups if not re.search(r"[!*?]", name)]
            missing = [name for name in literal if self.accounts.group(name) is None]
            if missing:
                raise SessionError("group {0} does not exist on this host".format(", ".join(missing)), "", "create it, or correct match; nothing was changed")
            found = [user for user in _members(groups, self.accounts) if not users or _matched(user, users)]
            self.stand_in = not found
            return found or [user for user in self._ordinary() if not users or _matched(user, users)][:1] or ["nobody"]
        if users:
            existing = self.accounts.users()
            named = [user for user in users if not re.search(r"[!*?]", user)]
            found = [user for user in named + list(existing) if _matched(user, users)]
            return list(collections.OrderedDict.fromkeys(found)) or [_sample(users)]
        return self._ordinary()

    def _ordinary(self) -> t.List[str]:
        return [user for user in self.accounts.users() if user != "root"] or ["nobody"]

    def inside(self, user: str) -> Connection:
        """A connection to which the Match applies."""
        match = self.match
        local = _address(match.get("LocalAddress", [])) or "127.0.0.1"
        host = _sample(match.get("Host", []), "host.example")
        port = next((port for port in match.get("LocalPort", []) if not port.startswith("!")), "22")
        domain = _sample(match.get("RDomain", []))
        return Connection(user, host, _address(match.get("Address", [])) or "192.0.2.1", local, port, domain)

    def outside(self, user: str) -> t.List[t.Tuple[str, Connection]]:
        """(criterion, connection that only this criterion does not match), for each criterion that has one."""
        inside = self.inside(user)
        others = {"Host": {"host": "elsewhere.invalid"}, "LocalPort": {"lport": "65535"}, "RDomain": {"rdomain": ""}}
        found = []
        if "User" in self.match or "Group" in self.match:
            other = self._user_outside()
            if other:
                found.append(("User" if "User" in self.match else "Group", inside._replace(user=other)))
        for name, field in (("Address", "addr"), ("LocalAddress", "laddr")):
            if name in self.match:
                free = [one for one in ("203.0.113.77", "127.0.0.9", "10.99.99.99", "2001:db8:ffff::77") if not _address_matched(one, self.match[name])]
                found += [(name, inside._replace(**{field: one})) for one in free[:1]]
        for name, change in others.items():
            if name in self.match and not _matched(list(change.values())[0], self.match[name]):
                found.append((name, inside._replace(**change)))
        return found

    def _user_outside(self) -> t.Optional[str]:
        users, groups = self.match.get("User"), self.match.get("Group")
        for user in self._ordinary() + ["root"]:
            if users and not _matched(user, users):
                return user
            if groups and user not in self.users and not any(_matched(name, groups) for name in _groups_of(user, self.accounts)):
                return user
        return None if groups else next((name for name in ("stranger", "zz-stranger") if not _matched(name, users)), None)


def named(verify: t.Iterable[t.Dict[str, t.Any]]) -> t.List[Sample]:
    """The samples that a module's ``verify`` names.

    Args:
        verify: connections by their fields, each with must and must_not (values by option name).
    """
    found = []
    for one in verify:
        fields = {name: str(one[name]) for name in Connection._fields if one.get(name) not in (None, "")}
        connection = Connection(**fields)
        spec(connection)
        must, must_not = policy(one.get("must") or {}), policy(one.get("must_not") or {})
        found.append(Sample(connection, "named", must, must_not, spec(connection)))
    return found
