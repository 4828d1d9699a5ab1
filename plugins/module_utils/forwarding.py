# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forwarding policy of sshd: what it asks for, for whom, and the place in the configuration where it holds.

Nothing here writes. A place is taken when sshd, shown the whole configuration with it, has every value that was asked for
and no other value changed, for every connection that is tried.
"""

import collections
import fnmatch
import ipaddress
import itertools
import os
import re

from .errors import SessionError
from .sshd import Connection, Origin, Refused, spec
from .sshd_config import END, Tree, block_lines, lines, ours, quote, with_block, without_block
from .text import clean

_YES_NO = {"yes": "yes", "no": "no", "true": "yes", "false": "no"}
_SIDES = dict(_YES_NO, local="local", remote="remote", all="yes")

#: Option of the module, keyword of sshd, and what each value becomes.
KEYWORDS = collections.OrderedDict((
    ("allow_tcp_forwarding", ("AllowTcpForwarding", _SIDES)),
    ("gateway_ports", ("GatewayPorts", dict(_YES_NO, clientspecified="clientspecified"))),
    ("permit_listen", ("PermitListen", None)),
    ("permit_open", ("PermitOpen", None)),
    ("allow_stream_local_forwarding", ("AllowStreamLocalForwarding", _SIDES)),
    ("stream_local_bind_unlink", ("StreamLocalBindUnlink", _YES_NO)),
    ("stream_local_bind_mask", ("StreamLocalBindMask", None)),
    ("disable_forwarding", ("DisableForwarding", _YES_NO)),
))
CRITERIA = ("User", "Group", "Host", "LocalAddress", "LocalPort", "Address", "RDomain")
# The first two sort first almost everywhere; the last is for what the last line decides.
_PREFIXES = ("00-", "0-", "0!", "zz-")
_STEM = "sciviz-paraview-"
_HEADER = "# Policy {0} of sciviz.paraview.sshd_forwarding: what is changed here by hand is overwritten."
_MADE = "# This directory was made for it."
_TRIED_MEMBERS = 8

Tried = collections.namedtuple("Tried", "connection role must must_not label")
Plan = collections.namedtuple("Plan", "changes place tried before after overrides warnings")


# --- what is asked for ---

def policy(options):
    """The policy that a module's options ask for.

    Args:
        options (dict): values by option name, None for those left as they are.
    Returns:
        OrderedDict[str, str]: values by keyword, as sshd_config has them.
    Raises:
        SessionError: names the option and the value.
    """
    asked = collections.OrderedDict()
    for option, (keyword, known) in KEYWORDS.items():
        value = options.get(option)
        if value is not None:
            asked[keyword] = _value(option, value, known)
    return asked


def _value(option, value, known):
    if known is not None:
        text = str(value).strip().lower()
        if text not in known:
            raise SessionError("{0}: {1!r} is not known".format(option, value), "", "take one of " + ", ".join(sorted(set(known.values()))))
        return known[text]
    if option == "stream_local_bind_mask":
        if not re.match(r"^0?[0-7]{3}\Z", str(value).strip()):
            raise SessionError("stream_local_bind_mask: {0!r} is no mask".format(value), "it takes three octal digits", 'write it with quotes, as in "0177"')
        return "0" + str(value).strip()[-3:]
    return " ".join(_targets(option, value))


def _targets(option, value):
    items = [str(item).strip() for item in (value if isinstance(value, (list, tuple)) else str(value).replace(",", " ").split())]
    if not items:
        raise SessionError("{0} is empty".format(option), "", "name what is allowed, or [none], or leave it out")
    if len(items) > 1 and {"any", "none"} & set(items):
        raise SessionError("{0}: any and none stand alone".format(option), "got " + " ".join(items), "take one of them away")
    for item in items:
        pattern = r"^(any|none|\*|((\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.*_-]+):)?(\d{1,5}|\*))\Z"
        port = item.rpartition(":")[2]
        bare = option == "permit_open" and item not in ("any", "none") and ":" not in item
        if bare or not re.match(pattern, item) or (port.isdigit() and not 0 < int(port) < 65536):
            example = "127.0.0.1:8080, [::1]:8080, localhost:*" + ("" if option == "permit_open" else ", 8080")
            raise SessionError("{0}: {1!r} is no address and port".format(option, item), "", "write it as in {0}".format(example))
    return items


def criteria(match):
    """The criteria of a Match.

    Args:
        match (dict): value or list of values by criterion, in any case of letters.
    Returns:
        OrderedDict[str, list[str]]: in sshd's spelling and a fixed order.
    Raises:
        SessionError: names the criterion and the value.
    """
    spelled = {name.lower(): name for name in CRITERIA}
    asked = {}
    for name, value in (match or {}).items():
        if str(name).lower() not in spelled:
            raise SessionError("match: {0!r} is not known".format(name), "", "take one of " + ", ".join(CRITERIA))
        values = [str(one).strip() for one in (value if isinstance(value, (list, tuple)) else str(value).split(","))]
        if not values or not all(values):
            raise SessionError("match: {0} is empty".format(name), "a criterion without a value matches nobody", "name what it is to match, or leave it out")
        _check_criterion(spelled[str(name).lower()], values)
        asked[spelled[str(name).lower()]] = values
    return collections.OrderedDict((name, asked[name]) for name in CRITERIA if name in asked)


def _check_criterion(name, values):
    for value in values:
        if re.search(r"[\s,\"'\\#\x00-\x1f\x7f]", value):
            raise SessionError("match: {0} {1!r} cannot stand in sshd_config".format(name, value),
                               "it holds a blank, a comma, a quote or a backslash", "correct it")
        plain = value.lstrip("!")
        if name in ("Address", "LocalAddress") and "/" in plain:
            try:
                ipaddress.ip_network(plain)
            except ValueError as error:
                raise SessionError("match: {0} {1!r} is no network".format(name, value), str(error), "write it as in 198.18.0.0/15")
        if name == "LocalPort" and not (value.isdigit() and 0 < int(value) < 65536 and len(values) == 1):
            raise SessionError("match: LocalPort {0!r} is no port".format(",".join(values)), "sshd takes a single number", "take one from 1 to 65535")
    if all(value.startswith("!") for value in values):
        raise SessionError("match: {0} {1} matches nobody".format(name, ",".join(values)), "sshd wants something to match besides what is negated", 'add "*"')


def check_name(name):
    """SessionError where a policy's name cannot be part of a file name."""
    if not re.match(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z", name):
        raise SessionError("name: {0!r} cannot name a policy".format(name), "it becomes part of a file name", "take letters, digits, - and _")


def body(asked, match):
    """list[str]: the lines of a policy."""
    inner = ["{0} {1}".format(keyword, value) for keyword, value in asked.items()]
    if not match:
        return inner
    return [_head(match)] + ["    " + line for line in inner]


def _head(match):
    return "Match " + " ".join(name + (" " + quote(",".join(values)) if values else "") for name, values in match.items())


# --- for whom it is tried ---

class Accounts:
    """The host's users and groups; in a class so that tests have their own."""

    def groups(self):
        """dict[str, tuple[int, list[str]]]: number and named members by group."""
        import grp

        return {group.gr_name: (group.gr_gid, list(group.gr_mem)) for group in grp.getgrall()}

    def group(self, name):
        """tuple[int, list[str]] or None: of one group, which a directory service need not list."""
        import grp

        try:
            found = grp.getgrnam(name)
        except KeyError:
            return None
        return found.gr_gid, list(found.gr_mem)

    def users(self):
        """dict[str, int]: number of the own group by user, the ordinary ones first."""
        import pwd

        return {user.pw_name: user.pw_gid for user in sorted(pwd.getpwall(), key=lambda user: (not 1000 <= user.pw_uid < 60000, user.pw_uid))}


def _matched(value, values):
    """bool: as sshd's match_pattern_list; a negated pattern that fits decides."""
    if any(fnmatch.fnmatchcase(value, pattern[1:]) for pattern in values if pattern.startswith("!")):
        return False
    return any(fnmatch.fnmatchcase(value, pattern) for pattern in values if not pattern.startswith("!"))


def _groups_of(user, accounts):
    users, groups = accounts.users(), accounts.groups()
    return [name for name, (number, members) in groups.items() if user in members or users.get(user) == number]


def _members(values, accounts):
    found = []
    for pattern in values:
        group = None if re.search(r"[!*?]", pattern) else accounts.group(pattern)
        if group:
            found += group[1] + [user for user, number in accounts.users().items() if number == group[0]]
    for user in accounts.users():
        if any(_matched(name, values) for name in _groups_of(user, accounts)):
            found.append(user)
    # A group that negates another refuses whoever is in both.
    refused = [pattern[1:] for pattern in values if pattern.startswith("!")]
    return [user for user in collections.OrderedDict.fromkeys(found)
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in refused for name in _groups_of(user, accounts))]


def _sample(values, default=""):
    """str: something that the patterns match; the default where there are none."""
    tried = [re.sub(r"[*?]", char, pattern) for pattern in values if not pattern.startswith("!") for char in "xyz01"]
    return next((one for one in tried if _matched(one, values)), tried[0] if tried else default)


def _address(values):
    for pattern in values:
        if pattern.startswith("!"):
            continue
        if "/" in pattern:
            network = ipaddress.ip_network(pattern)
            tried = [network[min(1, network.num_addresses - 1)], network[-1], network[0]]
        else:
            tried = [re.sub(r"\*", "1", pattern).replace("?", "1")]
        for address in tried:
            if _address_matched(str(address), values):
                return str(address)
    return ""


def _address_matched(address, values):
    def fits(pattern):
        if "/" in pattern:
            try:
                return ipaddress.ip_address(address) in ipaddress.ip_network(pattern)
            except ValueError:
                return False
        return fnmatch.fnmatchcase(address, pattern)

    return not any(fits(pattern[1:]) for pattern in values if pattern.startswith("!")) and any(
        fits(pattern) for pattern in values if not pattern.startswith("!"))


class Derived:
    """Connections to try where none are named: one that a Match is for, and for each criterion one that misses it.

    Args:
        match (dict): from criteria().
        accounts (Accounts): the users there are.
    Attributes:
        users (list[str]): who may stand for the policy's users, best first; empty where nobody can.
        stand_in (bool): the groups have no member yet: the Match is tried with a user in place of its group.
    """

    def __init__(self, match, accounts):
        self.match, self.accounts = match, accounts
        self.stand_in = False
        self.users = self._users()

    def _users(self):
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
            known = self.accounts.users()
            named = [user for user in users if not re.search(r"[!*?]", user)]
            found = [user for user in named + list(known) if _matched(user, users)]
            return list(collections.OrderedDict.fromkeys(found)) or [_sample(users)]
        return self._ordinary()

    def _ordinary(self):
        found = [user for user in self.accounts.users() if user != "root"]
        return (["nobody"] if "nobody" in found else []) + found or ["nobody"]

    def inside(self, user):
        """Connection: one that the Match is for."""
        match = self.match
        local = _address(match.get("LocalAddress", [])) or "127.0.0.1"
        host = _sample(match.get("Host", []), "host.example")
        port = next((port for port in match.get("LocalPort", []) if not port.startswith("!")), "22")
        domain = _sample(match.get("RDomain", []))
        return Connection(user, host, _address(match.get("Address", [])) or "192.0.2.1", local, port, domain)

    def outside(self, user):
        """list[tuple[str, Connection]]: the missed criterion and a connection, where there is one that misses it."""
        inside = self.inside(user)
        others = {"Host": {"host": "elsewhere.invalid"}, "LocalPort": {"lport": "65535"}, "RDomain": {"rdomain": ""}}
        found = []
        if "User" in self.match or "Group" in self.match:
            stranger = self._stranger()
            if stranger:
                found.append(("User" if "User" in self.match else "Group", inside._replace(user=stranger)))
        for name, field in (("Address", "addr"), ("LocalAddress", "laddr")):
            if name in self.match:
                free = [one for one in ("203.0.113.77", "127.0.0.9", "10.99.99.99", "2001:db8:ffff::77") if not _address_matched(one, self.match[name])]
                found += [(name, inside._replace(**{field: one})) for one in free[:1]]
        for name, change in others.items():
            if name in self.match and not _matched(list(change.values())[0], self.match[name]):
                found.append((name, inside._replace(**change)))
        return found

    def _stranger(self):
        users, groups = self.match.get("User"), self.match.get("Group")
        for user in self._ordinary() + ["root"]:
            if users and not _matched(user, users):
                return user
            if groups and user not in self.users and not any(_matched(name, groups) for name in _groups_of(user, self.accounts)):
                return user
        return None if groups else next((name for name in ("stranger", "zz-stranger") if not _matched(name, users)), None)


def named(verify):
    """What a module's ``verify`` asks to try.

    Args:
        verify (list[dict]): connections by their fields, each with must and must_not (values by option name).
    Returns:
        list[Tried]
    """
    found = []
    for one in verify:
        fields = {name: str(one[name]) for name in Connection._fields if one.get(name) not in (None, "")}
        connection = Connection(**fields)
        spec(connection)
        must, must_not = policy(one.get("must") or {}), policy(one.get("must_not") or {})
        found.append(Tried(connection, "named", must, must_not, spec(connection)))
    return found


# --- the place ---

class Planner:
    """Finds the place for a policy.

    Args:
        program (sshd.Program): whom to ask.
        view (sshd_config.View): the files.
        path (str): the main file.
        name (str): of the policy.
        writable (bool): whether the main file may be edited; a vendor's own may not.
        accounts (Accounts): the users there are.
    """

    def __init__(self, program, view, path, name, writable=True, accounts=None):
        self.program, self.path, self.name, self.writable = program, path, name, writable
        self.accounts = accounts or Accounts()
        self.view = view
        self.current = Tree(view, path)
        if path not in self.current.files:
            raise SessionError("there is no {0}".format(path), "", "correct path; nothing was changed")
        self.base_changes = self._removal()
        self.base = Tree(view.with_changes(self.base_changes), path)

    def _removal(self):
        changes = dict.fromkeys(self._own_files())
        text = without_block(self.current.files[self.path], self.name)
        if text != self.current.files[self.path]:
            changes[self.path] = text
        return changes

    def _own_files(self):
        names = {prefix + _STEM + self.name for prefix in _PREFIXES} | {_STEM + self.name}
        places = {os.path.dirname(pattern) for pattern in self.current.drop_in_patterns()} | {os.path.dirname(self.path), self.path + ".d"}
        found = set(self.current.files)
        for place in places:
            found |= set(self.view.matching(place + "/*" + _STEM + self.name + "*"))
        header = _HEADER.format(self.name)
        return [path for path in sorted(found) if os.path.splitext(os.path.basename(path))[0] in names and (self.view.read(path) or "").startswith(header)]

    # --- absent ---

    def absent(self, tried):
        """Plan: everything of the policy taken away."""
        connections = [one.connection for one in tried]
        after = self._ask(self.base, connections, "without the policy")
        before = self._current(tried, after)
        problems = [problem for problem in (self._expectation(one, new, self.base) for one, new in zip(tried, after)) if problem]
        if problems:
            raise SessionError("without the policy {0} sshd would not do as verify says".format(self.name), "; ".join(problems),
                               "correct verify; nothing was changed")
        return Plan(self.base_changes, "", tried, before, after, [], [])

    def made_directories(self):
        """list[str]: directories that were made for the policy's drop-ins."""
        return sorted({os.path.dirname(path) for path in self._own_files() if _MADE in self.view.read(path).split("\n")})

    def bystanders(self, match):
        """list[Tried]: whom a policy that goes was for, and who is just beside it; ordinary users where that cannot be told any more."""
        try:
            known = Derived(match, self.accounts)
        except SessionError:
            known = Derived({}, self.accounts)
        inside = known.inside(known.users[0])
        return [Tried(one, "outside", {}, {}, spec(one)) for one in [inside] + [one for _name, one in known.outside(inside.user)]]

    def _ask(self, tree, connections, when):
        try:
            return self.program.effective(tree, connections)
        except Refused as error:
            raise SessionError("sshd does not take {0} as it is, {1}".format(self.path, when), error.why, "mend it first (sshd -t); nothing was changed")

    # --- present ---

    def present(self, asked, match, verify=(), override=True):
        """The plan for a policy.

        Args:
            asked (dict): from policy(). match (dict): from criteria(). verify (list[Tried]): from named(); empty to derive them.
            override (bool): whether other lines that say otherwise may be overridden.
        Returns:
            Plan
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

    def _tried(self, asked, match, derived, verify):
        """Whom to try, and what holds for them without the policy. Whom another policy of ours binds is left to that, if there are others."""
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

    def _is_ours(self, origin):
        """str: name of the other policy of ours that a line belongs to; empty for none."""
        if origin is None or origin.file not in self.base.files:
            return ""
        text = self.base.files[origin.file]
        header = re.match(r"# Policy (\S+) of sciviz\.paraview\.sshd_forwarding:", text)
        if header:
            return header.group(1)
        names = re.findall(r"(?m)^# BEGIN sciviz\.paraview sshd_forwarding ([A-Za-z0-9_-]+)", text)
        return next((name for name in names if origin.line in block_lines(text, name)), "")

    def _is_late(self, changes, asked, match):
        """bool: a line of others that is read earlier says something of the same kind; it may count for a connection that nobody tries."""
        tree = Tree(self.view.with_changes(dict(self.base_changes, **changes)), self.path)
        keywords = {keyword.lower() for keyword in asked} - {"streamlocalbindmask"}
        for file, line, matched in tree.reading():
            if self._in_place(Origin(file, line.number, matched), changes, tree):
                return False
            if line.keyword in keywords and matched == match and not self._is_ours(Origin(file, line.number, matched)):
                return True
        return False

    def _places(self, asked, match):
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
    def _before(main, criteria_):
        """int or None: the line before which a block goes so that it stands before the first Match of that kind, and before its comment."""
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

    def _drop_in(self, text, directory):
        made = [_MADE] if directory and not os.path.isdir(self.view.real(directory)) else []
        present = next((old for path, old in self.current.files.items() if os.path.dirname(path) == directory and path in self.base_changes), "")
        if _MADE in (present or "") and directory:
            made = [_MADE]
        return "\n".join([_HEADER.format(self.name)] + made + text) + "\n"

    def _try(self, place, changes, asked, match, derived, tried, before):
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
        if derived.stand_in and any(one.role == "inside" for one in tried):
            warnings.append("{0} has no member yet: it was tried with {1} in its place".format(",".join(match["Group"]), derived.users[0]))
        now = {path: text for path, text in combined.items() if text != self._now(path)}
        return Plan(now, place, tried, self._current(tried, before), after, overrides, warnings)

    def _current(self, tried, before):
        if not self.base_changes:
            return before
        try:
            return self.program.effective(self.current, [one.connection for one in tried])
        except Refused:
            # The policy itself was spoilt by hand; what sshd does not take says nothing.
            return before

    def _now(self, path):
        return self.view.read(path)

    @staticmethod
    def _with_stand_in(changes, match, derived):
        """A user in place of a group that has no member: what a member would get can be shown in no other way."""
        other = collections.OrderedDict((name, values) for name, values in match.items() if name != "Group")
        other["User"] = [derived.users[0]]
        return {path: (text or "").replace(_head(match), _head(other)) for path, text in changes.items()}

    def _in_place(self, origin, changes, tree):
        if origin.file not in changes:
            return False
        return origin.file != self.path or origin.line in block_lines(tree.files[self.path], self.name)

    @staticmethod
    def _is_exception(new, asked):
        """bool: another's Match says otherwise for that user, which a global policy leaves alone."""
        differing = [new.origin(keyword) for keyword, value in asked.items() if not _same(keyword, new.value(keyword), value)]
        return bool(differing) and all(origin is not None and origin.second for origin in differing)

    def _problem(self, one, old, new, asked, applied, tree):
        wanted = dict(asked) if one.role in ("inside", "anybody") or (one.role == "named" and applied) else {}
        for keyword, value in wanted.items():
            if not _same(keyword, new.value(keyword), value):
                return "{0} would have {1} {2}, {3}".format(one.label, keyword, _told(new.value(keyword)), self._whence(new.origin(keyword), tree))
            other = self._is_ours(old.origin(keyword))
            if other and not _same(keyword, old.value(keyword), value):
                return "{0} has {1} {2} by the policy {3}, {4}".format(
                    one.label, keyword, _told(old.value(keyword)), other, self._whence(old.origin(keyword), self.base))
        if wanted.get("DisableForwarding") != "yes" and new.value("DisableForwarding") == "yes" and _asks_to_allow(wanted):
            return "{0} would have DisableForwarding yes, {1}, which overrides all".format(one.label, self._whence(new.origin("DisableForwarding"), tree))
        for keyword in sorted(set(old.values) | set(new.values)):
            managed = keyword in {name.lower() for name in wanted}
            if not managed and old.values.get(keyword) != new.values.get(keyword):
                return "{0} would have {1} {2} instead of {3}".format(one.label, keyword, _told(new.value(keyword)), _told(old.value(keyword)))
        return self._expectation(one, new, tree)

    def _expectation(self, one, new, tree):
        for keyword, value in one.must.items():
            if not _same(keyword, new.value(keyword), value):
                return "{0} must have {1} {2}, and would have {3}, {4}".format(
                    one.label, keyword, value, _told(new.value(keyword)), self._whence(new.origin(keyword), tree))
        for keyword, value in one.must_not.items():
            if _same(keyword, new.value(keyword), value):
                return "{0} must not have {1} {2}, which it would, {3}".format(one.label, keyword, value, self._whence(new.origin(keyword), tree))
        return ""

    def _whence(self, origin, tree):
        if origin is None:
            return "sshd's default"
        text = (tree.files.get(origin.file) or "").split("\n")
        said = text[origin.line - 1].strip()[:120] if 0 < origin.line <= len(text) else ""
        where = "{0}:{1}".format(origin.file, self._line_now(origin, tree))
        return "from {0} ({1})".format(where, said) if said else "from {0}".format(where)

    def _line_now(self, origin, tree):
        """int: a line's number in the file as it is now, without or with another place of our own block."""
        if origin.file != self.path:
            return origin.line
        shifted, current = (block_lines(one.files[self.path], self.name) for one in (tree, self.current))
        count = origin.line - sum(1 for number in shifted if number < origin.line)
        return next(number for number in itertools.count(count) if number - sum(1 for own in current if own <= number) >= count)

    def _overrides(self, tried, before, after, asked, applies):
        found = collections.OrderedDict()
        for one, old, new, applied in zip(tried, before, after, applies):
            for keyword in asked:
                origin = old.origin(keyword)
                if applied and origin is not None and not _same(keyword, old.value(keyword), new.value(keyword) or ""):
                    key = (origin.file, origin.line, keyword)
                    found.setdefault(key, {"file": origin.file, "line": self._line_now(origin, self.base), "keyword": keyword, "value": old.value(keyword),
                                           "connections": []})["connections"].append(spec(one.connection))
        return list(found.values())

    def _finish(self, plan, override):
        if plan.overrides and not override:
            first = plan.overrides[0]
            raise SessionError(
                "the policy {0} would override others' lines, which override: false forbids".format(self.name),
                "; ".join("{file}:{line} has {keyword} {value}".format(**one) for one in plan.overrides),
                "change {0} yourself, or allow override; nothing was changed".format(first["file"]))
        return plan

    def _no_place(self, problems):
        said = list(collections.OrderedDict.fromkeys(problem for _place, problem in problems))
        why = "; ".join(said) if said else "{0} belongs to the vendor and includes no directory".format(self.path)
        return SessionError("no place in sshd's configuration makes the policy {0} hold".format(self.name), why,
                            "change what it names, or the policy; nothing was changed")


def _asks_to_allow(asked):
    return any(asked.get(keyword, "no") != "no" for keyword in ("AllowTcpForwarding", "AllowStreamLocalForwarding")) or any(
        keyword in asked and asked[keyword] not in ("none", "no") for keyword in ("PermitListen", "PermitOpen", "GatewayPorts"))


def _told(value):
    return "no value" if value is None else value


def _same(keyword, one, other):
    """bool: two values mean the same to sshd."""
    if one is None:
        return False
    if keyword in ("PermitListen", "PermitOpen"):
        return _normal(keyword, one) == _normal(keyword, other)
    return one.lower() == other.lower()


def _normal(keyword, value):
    found = []
    for word in value.lower().split():
        host, _colon, port = word.rpartition(":")
        if word not in ("any", "none") and keyword == "PermitListen" and not host:
            host = "*"
        found.append((host.strip("[]"), port))
    return sorted(found)


def values(effective):
    """dict[str, str]: the forwarding policy of one connection, by option name."""
    return {option: effective.value(keyword) for option, (keyword, _known) in KEYWORDS.items() if effective.value(keyword) is not None}


def origins(effective):
    """dict[str, str]: file and line of each value that does not come from sshd's defaults, by option name."""
    found = {option: effective.origin(keyword) for option, (keyword, _known) in KEYWORDS.items()}
    return {option: "{0}:{1}".format(origin.file, origin.line) for option, origin in found.items() if origin is not None}


def told(plan):
    """list[dict]: what a plan does for each connection that was tried."""
    return [{"connection": spec(one.connection), "about": one.label, "before": values(before), "after": values(after), "origins": origins(after)}
            for one, before, after in zip(plan.tried, plan.before, plan.after)]


def sources(effective, tree):
    """dict[str, dict]: file, line and text of each value's origin, by option name."""
    found = {}
    for option, (keyword, _known) in KEYWORDS.items():
        origin = effective.origin(keyword)
        if origin is not None:
            text = (tree.files.get(origin.file) or "").split("\n")
            said = text[origin.line - 1].strip() if 0 < origin.line <= len(text) else ""
            found[option] = {"file": origin.file, "line": origin.line, "text": clean(said)}
    return found
