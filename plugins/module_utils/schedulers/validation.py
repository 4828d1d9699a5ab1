# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of batch systems that an inventory adds or changes (paraview_schedulers), checked entry by entry."""

import copy
import difflib
import re
import typing as t

from ..common.errors import SessionError
from . import answers, directives, mpi, option_lines, own_directives
from .tables.registry import Table

_FIELDS = ("id", "native", "detail", "reason", "nodes", "root_node", "exit_status", "signal", "wait_status", "expected_start", "limit", "elapsed",
           "started", "ends", "left", "owner")
_WHEN = ("first", "unreadable", "nothing", "gone", "unexplained")
_DEFAULTS = {"directives": {"prefix": "# "}, "launcher": "mpiexec"}
_REQUIRED = {"submit": ("argv", "job_id"), "cancel": ("argv",), "detect": ("argv", "pattern"), "first_node": ("argv", "pattern"),
             "question": ("argv", "fields"), "table": ("submit", "ask", "cancel", "states", "directives", "job_nodes", "launcher")}
# Why a batch system has to offer an entry.
_NEEDED_FOR = {
    "submit": "without it no job can be submitted", "ask": "without it the state of a job is unknown", "cancel": "without it disconnect cannot end a job",
    "states": "without it no native state has a meaning",
    "job_nodes": "it is a shell command that prints the nodes of the job, and runs inside the job; "
                 "without it a job of several nodes would be taken for one of one node",
}
# A name in braces: a placeholder, or one that is misspelled. Variables of the shell such as ${name} and awk's {print} are none.
_BRACES = re.compile(r"(?<![$%#@\\])\{(\s*(?!(?:print|next|exit|getline)\s*\})[A-Za-z][A-Za-z0-9_-]*\s*)\}")
# What a reason may be: final, or one that may pass.
_VERDICTS = ("never", "may_pass")
# Takes the path of a value and the value, and returns the value in the form that the engine expects.
_Check = t.Callable[[str, t.Any], t.Any]


def tables(given: t.Any) -> t.Dict[str, Table]:
    """Every batch system's table by name, in the order of their detection: the inventory's own first.

    Args:
        given: of paraview_schedulers: by name, a whole table, or the differences from the shipped one of that name or from the
            one that ``based_on`` names. An entry that is null is removed.
    Raises:
        SessionError: names the entry, the value and what is wrong with it.
    """
    if not isinstance(given, dict):
        raise _invalid("", given, "it has to be a mapping of batch systems' names to their tables")
    own: t.Dict[str, dict] = {}
    shipped = dict(answers.TABLES)
    for name, changes in given.items():
        path = ".{0}".format(name)
        if not re.match(r"^[a-z][a-z0-9_]{0,30}\Z", str(name)) or name == "auto":
            raise _invalid("", name, "a name begins with a lower-case letter and holds lower-case letters, digits and _ only")
        (shipped if name in shipped else own)[name] = _whole(path, str(name), changes)
    return dict(own, **shipped)


def _whole(path: str, name: str, changes: t.Any) -> Table:
    if not isinstance(changes, dict):
        raise _invalid(path, changes, "a table has to be a mapping of entries")
    base = changes.get("based_on", name)
    if "based_on" in changes and base not in list(answers.TABLES):
        raise _invalid(path + ".based_on", base, "it has to be one of " + ", ".join(sorted(answers.TABLES)))
    start = answers.TABLES.get(base) or _DEFAULTS
    whole = _merged(copy.deepcopy(start), {key: value for key, value in changes.items() if key != "based_on"})
    whole.setdefault("title", name)
    _promote(whole)
    _keep_even(whole, changes)
    _move(whole, changes)
    own = [pattern for kind in _VERDICTS for pattern in _given(changes, kind)]
    return dict(_Checker(path).table(whole), **({"own_reasons": own} if own else {}))


def _promote(whole: t.Dict[str, t.Any]) -> None:
    """If the first question is taken out, the next one takes its place."""
    ask = whole.get("ask")
    first = next(iter(ask.values()), None) if isinstance(ask, dict) else None
    if isinstance(first, dict) and first.get("when") == "unreadable":
        del first["when"]


def _keep_even(whole: t.Dict[str, t.Any], changes: t.Dict[str, t.Any]) -> None:
    """If the inventory has a line of its own, the shipped one for nodes with different numbers of processes does not replace it."""
    given = changes.get("directives")
    if not (isinstance(given, dict) and isinstance(given.get("lines"), dict) and isinstance(whole["directives"].get("uneven"), dict)):
        return
    own = given["uneven"] if isinstance(given.get("uneven"), dict) else {}
    whole["directives"]["uneven"] = {name: line for name, line in whole["directives"]["uneven"].items() if name in own or name not in given["lines"]}


def _move(whole: t.Dict[str, t.Any], changes: t.Dict[str, t.Any]) -> None:
    """A reason that the inventory lists as final or as one that may pass is no longer listed as the other."""
    for kind, other in (_VERDICTS, _VERDICTS[::-1]):
        for pattern in _given(changes, kind):
            if pattern not in _given(changes, other) and isinstance(whole.get(other), dict):
                whole[other].pop(pattern, None)


def _given(changes: t.Dict[str, t.Any], kind: str) -> t.List[str]:
    """The reasons that the inventory lists."""
    given = changes.get(kind)
    return [str(pattern) for pattern, sentence in given.items() if sentence is not None] if isinstance(given, dict) else []


def _merged(base: t.Dict[str, t.Any], changes: t.Dict[t.Any, t.Any]) -> t.Dict[str, t.Any]:
    for key, value in changes.items():
        key = str(key) if isinstance(key, int) and not isinstance(key, bool) else key
        if value is None:
            base.pop(key, None)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            base[key] = _merged(base[key], value)
        else:
            base[key] = _merged({}, value) if isinstance(value, dict) else value
    return base


class _Checker:
    """Checks everything in a table on which the engine relies.

    Args:
        path: the table's path, for messages.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.verbatim: t.List[str] = []

    def table(self, table: t.Any) -> Table:
        kinds = {
            "title": self._text, "detect": self._part("detect", argv=self._argv(), pattern=self._regex),
            "submit": self._part("submit", argv=self._argv("script"), job_id=self._regex_with("job_id"), refused=self._regex, older=self._argv("script")),
            "ask": self._each(self._question), "ask_together": self._together,
            "cancel": self._part("cancel", argv=self._argv("job_id", "cluster"), over=self._regex, force=self._argv("job_id", "cluster")),
            "details": self._details, "attach": self._argv("script", "job_id", "node", "cluster"), "job_variable": self._variable,
            "node_file": self._variable, "attach_setup": self._shell, "would_take": self._argv("script"),
            "first_node": self._part("first_node", argv=self._argv("cluster", needed=False), pattern=self._regex_with("value")),
            "states": self._states, "no_reason": self._texts, "never": self._sentences, "may_pass": self._sentences, "on_demand": self._sentences,
            "explanations": self._sentences, "exits": self._each(self._text), "exiting": self._regexes, "leaving": self._regexes,
            "signals_from": self._number, "negative_signals": self._bool, "cluster": self._argv("cluster"),
            "node": self._regex_with("value"), "directives": self._directives, "job_nodes": self._shell,
            "job_setup": self._shell, "launcher": self._launcher, "on_login_node": self._bool, "verbatim": self._texts,
            "unwritable": self._texts, "cancels_slowly": self._bool, "delivers_output": self._bool,
        }
        self.verbatim = self._texts(".verbatim", table["verbatim"]) if isinstance(table, dict) and "verbatim" in table else []
        table = self._entries("", table, kinds, _REQUIRED["table"])
        if not table["ask"]:
            raise self._error(".ask", table["ask"], "it has no question")
        for number, (name, question) in enumerate(table["ask"].items()):
            when = question.get("when", "first")
            if (number == 0) != (when == "first"):
                raise self._error(".ask.{0}.when".format(name), question.get("when"),
                                  "the first question is always asked first; every further one needs one of "
                                  + ", ".join(_WHEN[1:]))
        self._life_of_a_job(table)
        return table

    def _life_of_a_job(self, table: Table) -> None:
        """Checks that a table can show that a job runs, and that it is over."""
        questions = list(table["ask"].values())
        states = set(table["states"].values()).union(*(question.get("states", {}).values() for question in questions))
        if "running" not in states:
            raise self._error(".states", table["states"], "none of them is running: add the native state of a job that runs")
        if not states & set(answers.OVER) and not any(question.get(name) for question in questions for name in ("gone", "over", "complete", "silence")):
            raise self._error(".states", table["states"], "nothing shows that a job is over: add a state that is one of {0}, or gone to a question".format(
                ", ".join(answers.OVER)))

    def _entries(self, path: str, given: t.Any, kinds: t.Dict[str, _Check], required: t.Tuple[str, ...] = ()) -> t.Dict[str, t.Any]:
        if not isinstance(given, dict):
            raise self._error(path, given, "it has to be a mapping with the entries " + ", ".join(sorted(kinds)))
        for name in given:
            if name not in kinds:
                near = difflib.get_close_matches(str(name), kinds, 1)
                raise self._error("{0}.{1}".format(path, name), given[name], "there is no such entry; {0}".format(
                    "is {0} meant?".format(near[0]) if near else "the entries are " + ", ".join(sorted(kinds))))
        for name in required:
            if name not in given:
                why = _NEEDED_FOR.get(name) if not path else None
                raise self._error("{0}.{1}".format(path, name), None, "it is missing" + ("; " + why if why else ""))
        return {name: kinds[name]("{0}.{1}".format(path, name), value) for name, value in given.items()}

    def _part(self, name: str, **kinds: _Check) -> _Check:
        return lambda path, value: self._entries(path, value, kinds, _REQUIRED[name])

    def _each(self, kind: _Check) -> _Check:
        def check(path: str, value: t.Any) -> t.Any:
            if not isinstance(value, dict):
                raise self._error(path, value, "it has to be a mapping")
            for key in value:
                if not isinstance(key, str):
                    raise self._error(path, key, "put quotes around it: YAML does not read it as text")
            return {str(key): kind("{0}.{1}".format(path, key), one) for key, one in value.items()}

        return check

    def _together(self, path: str, value: t.Any) -> t.Dict[str, t.Any]:
        question = self._question(path, value, "job_ids")
        if "when" in question or not (question.get("record") or question.get("jobs")):
            raise self._error(path, value, "it is asked by itself, and needs record or jobs for the job that a part of the answer is about")
        return question

    def _details(self, path: str, value: t.Any) -> t.Dict[str, t.Any]:
        question = self._question(path, value)
        if "when" in question:
            raise self._error(path + ".when", question["when"], "it is asked once about a job in which pvserver is started, whatever the other answers are")
        return question

    def _variable(self, path: str, value: t.Any) -> str:
        text = self._text(path, value)
        if not re.match(r"^[A-Za-z_][A-Za-z0-9_]*\Z", text):
            raise self._error(path, value, "it has to be the name of an environment variable, without $")
        return text

    def _question(self, path: str, value: t.Any, placeholder: str = "job_id") -> t.Dict[str, t.Any]:
        json = isinstance(value, dict) and value.get("format") == "json"
        field = self._query if json else self._regex_with("value")
        kinds = {
            # A listing that shows where it ends need not name the job.
            "argv": self._argv(placeholder, "cluster", needed=not (isinstance(value, dict) and value.get("complete"))),
            "format": self._choice(("text", "xml", "json")), "like": self._regex, "when": self._choice(_WHEN), "gone": self._regex, "over": self._regex,
            "complete": self._regex, "silence": self._choice(("gone",)), "unwrap": self._regex, "record": self._regex_with("body"), "latest": self._bool,
            "single": self._bool, "every": self._names(_FIELDS), "otherwise": lambda path, one: self._entries(path, one, dict.fromkeys(_FIELDS, self._text)),
            "states": self._states, "may_be_walltime": self._bool, "jobs": self._query, "other_ids": self._forms,
            "fields": lambda path, one: self._entries(path, one, dict.fromkeys(_FIELDS, self._one_or_more(field)), ("native",)),
        }
        question = self._entries(path, value, kinds, _REQUIRED["question"] + (("jobs",) if json else ()))
        if question.get("record") and "id" not in question["fields"] and "id" not in re.compile(question["record"]).groupindex:
            raise self._error(path + ".record", question["record"], "it needs a group (?P<id>...), or fields.id for the id of its job")
        return question

    def _directives(self, path: str, value: t.Any) -> t.Dict[str, t.Any]:
        kinds = {
            "prefix": self._plain, "always": lambda path, one: [self._plain(path, line) for line in self._texts(path, one)], "exclusive": self._plain,
            "lines": self._each(self._template), "uneven": self._each(self._uneven), "quoting": self._choice(directives.QUOTING),
            "needs": lambda path, one: self._entries(path, one, dict.fromkeys(directives.OPTIONS, self._need)),
            "apart": self._pairs, "options": self._options,
        }
        return self._entries(path, value, kinds, ("prefix",))

    def _options(self, path: str, value: t.Any) -> t.Dict[str, t.Any]:
        forms = self._each(self._choice(tuple(own_directives.FORMS)))
        kinds = {
            "style": self._choice(option_lines.STYLES), "same": self._each(self._text), "flags": self._texts,
            "resources": self._each(self._choice(option_lines.DIVISIONS)), "repeated": self._each(self._choice(("first", "last"))),
            "instead": self._each(self._texts), "instead_on_one_core": self._each(self._texts), "refused": self._sentences, "shell": self._text,
            "prefix": self._regex, "quantities": lambda path, one: self._entries(path, one, dict.fromkeys(own_directives.QUANTITIES, forms)),
            "spread": self._each(self._text),
        }
        return self._entries(path, value, kinds)

    def _need(self, path: str, value: t.Any) -> t.List[str]:
        if not (isinstance(value, list) and len(value) == 2 and value[0] in ("tasks", "cores", "cores_per_node") and isinstance(value[1], str)):
            raise self._error(path, value, "it has to be a list of two: tasks, cores or cores_per_node, and a hint")
        return [str(one) for one in value]

    def _pairs(self, path: str, value: t.Any) -> t.List[t.List[str]]:
        if not isinstance(value, list) or not all(isinstance(one, list) and len(one) == 2 and set(one) <= set(directives.OPTIONS) for one in value):
            raise self._error(path, value, "it has to be a list of pairs of " + ", ".join(directives.OPTIONS))
        return [[str(name) for name in one] for one in value]

    def _plain(self, path: str, value: t.Any) -> str:
        text = self._filled(path, self._text(path, value), ())
        if re.search(r"[\n\r]", text):
            raise self._error(path, value, "it has to be one line")
        return text

    def _shell(self, path: str, value: t.Any) -> str:
        return self._filled(path, self._text(path, value), ())

    def _uneven(self, path: str, value: t.Any) -> str:
        return self._template(path, value, directives.UNEVEN_PLACEHOLDERS)

    def _template(self, path: str, value: t.Any, known: t.Tuple[str, ...] = directives.PLACEHOLDERS) -> str:
        text = self._filled(path, self._text(path, value), known)
        if "\n" in text:
            raise self._error(path, value, "a directive has to be one line")
        return text

    def _filled(self, path: str, text: str, known: t.Tuple[str, ...]) -> str:
        """A text in which every name in braces is a placeholder that will be filled in, or belongs to the command itself."""
        for name in _BRACES.findall(text):
            if name in known or name in self.verbatim:
                continue
            near = difflib.get_close_matches(name.strip().lower().replace("-", "_"), known, 1)
            meant = "is {{{0}}} meant? ".format(near[0]) if near else ""
            those = "the placeholders here are " + ", ".join("{{{0}}}".format(one) for one in known) if known else "this entry is without placeholders"
            raise self._error(path, text, "{{{0}}} is not a placeholder here; {1}{2}. If the command itself needs it, add {3} to verbatim".format(
                name, meant, those, name.strip()))
        return text

    def _text(self, path: str, value: t.Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self._error(path, value, "it has to be a text" if value or not isinstance(value, str) else "it is empty; to remove it, set it to null")
        return str(value)

    def _names(self, choices: t.Tuple[str, ...]) -> _Check:
        def check(path: str, value: t.Any) -> t.Any:
            for name in self._texts(path, value):
                if name not in choices:
                    raise self._error(path, name, "it has to be one of " + ", ".join(choices))
            return [str(name) for name in value]

        return check

    def _texts(self, path: str, value: t.Any) -> t.List[str]:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._error(path, value, "it has to be a list of texts")
        return [str(one) for one in value]

    def _argv(self, *known: str, needed: bool = True) -> _Check:
        """A check for a command with the placeholders that are known; the first of them has to be in it, if it is needed."""
        def check(path: str, value: t.Any) -> t.List[str]:
            words = self._texts(path, value) if isinstance(value, list) else None
            if not words or not words[0]:
                raise self._error(path, value, "a command has to be a list of words, its name first")
            for number, word in enumerate(words):
                self._filled("{0}[{1}]".format(path, number), word, known)
            if known and needed and not any("{{{0}}}".format(known[0]) in word for word in words):
                raise self._error(path, value, "{{{0}}} is missing in it".format(known[0]))
            return words

        return check

    def _unfilled(self, path: str, value: t.Any) -> str:
        """A pattern or a query. Braces have their own meaning there, so only names that are placeholders elsewhere are refused."""
        text = self._text(path, value)
        for name in ("script", "job_id", "job_ids", "node"):
            if "{{{0}}}".format(name) in text:
                raise self._error(path, value, "{{{0}}} is not filled in here; the id of the job is compared with the field id or the group (?P<id>...)".format(
                    name))
        return text

    def _regex(self, path: str, value: t.Any) -> str:
        text = self._unfilled(path, value)
        try:
            re.compile(text)
        except (re.error, RecursionError, OverflowError) as error:
            raise self._error(path, value, "it is not a regular expression: {0}".format(error))
        return text

    def _regex_with(self, group: str) -> _Check:
        def check(path: str, value: t.Any) -> t.Any:
            text = self._regex(path, value)
            if group not in re.compile(text).groupindex:
                raise self._error(path, value, "the group (?P<{0}>...) is missing in it".format(group))
            return text

        return check

    def _query(self, path: str, value: t.Any) -> str:
        text = self._unfilled(path, value)
        try:
            import jmespath
        except ImportError:
            return text
        try:
            jmespath.compile(text)
        except jmespath.exceptions.JMESPathError as error:
            raise self._error(path, value, "it is not a JMESPath query: {0}".format(str(error).splitlines()[0]))
        return text

    def _one_or_more(self, kind: _Check) -> _Check:
        def check(path: str, value: t.Any) -> t.Any:
            if not isinstance(value, list):
                return kind(path, value)
            if not value:
                raise self._error(path, value, "the list is empty; to remove it, set it to null")
            return [kind("{0}[{1}]".format(path, index), one) for index, one in enumerate(value)]

        return check

    def _sentences(self, path: str, value: t.Any) -> t.Dict[str, str]:
        checked = self._each(self._text)(path, value)
        for pattern in checked:
            self._regex("{0}.{1}".format(path, pattern), pattern)
        return checked

    def _states(self, path: str, value: t.Any) -> t.Dict[str, str]:
        checked = self._each(self._choice(answers.STATES))(path, value)
        for pattern in checked:
            # * is every other state.
            self._regex("{0}.{1}".format(path, pattern), pattern if pattern != "*" else ".*")
        return checked

    def _regexes(self, path: str, value: t.Any) -> t.List[str]:
        return [self._regex(path, pattern) for pattern in self._texts(path, value)]

    def _forms(self, path: str, value: t.Any) -> t.List[t.List[str]]:
        if not isinstance(value, list) or not all(isinstance(one, list) and len(one) == 2 for one in value):
            raise self._error(path, value, "it has to be a list of pairs: a pattern, and a text with \\1, \\2 and so on for its groups")
        for pattern, form in value:
            groups = re.compile(self._regex(path, pattern)).groups
            if any(int(number) > groups for number in re.findall(r"\\([0-9]{1,3})", self._text(path, form))) or re.search(r"\\(?![0-9])", form):
                raise self._error(path, form, "its pattern has {0} groups; it may hold \\1 and so on for them, and no other \\".format(groups))
        return [[str(one) for one in pair] for pair in value]

    def _choice(self, choices: t.Tuple[str, ...]) -> _Check:
        def check(path: str, value: t.Any) -> t.Any:
            if value not in choices:
                raise self._error(path, value, "it has to be one of " + ", ".join(choices))
            return str(value)

        return check

    def _number(self, path: str, value: t.Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._error(path, value, "it has to be a whole number")
        return int(value)

    def _bool(self, path: str, value: t.Any) -> bool:
        if not isinstance(value, bool):
            raise self._error(path, value, "it has to be true or false")
        return bool(value)

    def _launcher(self, path: str, value: t.Any) -> t.Union[str, t.List[str]]:
        if isinstance(value, str) and value in mpi.LAUNCHERS:
            return str(value)
        if isinstance(value, str) or not isinstance(value, list):
            raise self._error(path, value, "it has to be one of {0}, or a command as a list of words".format(", ".join(sorted(mpi.LAUNCHERS))))
        return self._argv(*mpi.PLACEHOLDERS, needed=False)(path, value)

    def _error(self, path: str, value: t.Any, why: str) -> SessionError:
        return _invalid(self.path + path, value, why)


def _invalid(path: str, value: t.Any, why: str) -> SessionError:
    what = "paraview_schedulers{0}".format(path)
    return SessionError("{0} is not valid".format(what if value is None else "{0}: {1!r}".format(what, value)), why,
                        "correct it in the inventory; nothing was touched. The guide Batch systems describes every entry")
