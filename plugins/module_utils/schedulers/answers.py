# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine behind the batch systems' tables: it fills in their commands and interprets the answers."""

import re
import signal
import time
import typing as t

from ..common.errors import SessionError
from ..common.text import clean, one_line
from . import hostlists
from .tables.registry import TABLES, Table

STATES = ("pending", "running", "ended", "failed", "cancelled", "unknown")
OVER = ("ended", "failed", "cancelled")
#: Exit codes of a command that its time limit ended by SIGTERM or, if it ignored that, by SIGKILL.
TIME_LIMIT = (124, 137)
# An older release prints this if it does not support an option, or a combination of options.
_NO_SUCH_OPTION = re.compile(
    r"(?i)(?:illegal|unrecogni[sz]ed|invalid|unknown|unsupported|bad|no such|unexpected) (?:option|argument|flag|parameter|switch|format|output format)"
    r"|conflicting options|not (?:a )?(?:supported|recogni[sz]ed|valid|known)|does not support|^\s*usage:", re.MULTILINE)
# The batch system itself does not answer, so a question in another form would not be answered either.
_NOT_REACHED = re.compile(
    r"(?i)cannot connect|can't connect|could not connect|unable to (?:connect|contact|reach)|fail(?:ed|ure) (?:to|in) (?:connect|contact|communicat)"
    r"|connection (?:refused|reset|timed out|failure)|communication (?:failure|error)|timed? ?out|not respond|no route to host|unreachable"
    r"|(?:daemon|server|master|controller|broker|service)\S* (?:is |are )?(?:down|unavailable|not (?:running|available|up))|please wait|try again later"
    r"|no such file or directory|command not found|not configured")
# The output of a site is cut off at this size.
_MOST = 4 * 1024 * 1024
# Raw values by the name of their field.
_Fields = t.Dict[str, t.List[str]]


class JobState(t.NamedTuple):
    """What a batch system reports about one job.

    Attributes:
        state: one of STATES.
        native: the batch system's own name for the state.
        reason: the batch system's own text.
        explanation: a sentence of ours.
        never: the job can never run.
        warning: the job may wait in vain, since it waits for a reason that passes only if the site changes something.
        nodes: the names of its nodes.
        root_node: the first of them.
        exit_status: None if it is unknown.
        expected_start: ISO 8601 without zone; None if it is unknown.
        time_left_s: seconds; None if it is unknown.
        gone: the batch system has no record of the job (any more); the state is then unknown.
        owner: the user to whom the job belongs, in the batch system's own form; empty if it is unknown.
    """

    state: str
    native: str
    reason: str
    explanation: str
    never: bool
    nodes: t.List[str]
    root_node: str
    exit_status: t.Optional[int]
    expected_start: t.Optional[str]
    time_left_s: t.Optional[int]
    gone: bool
    warning: bool = False
    owner: str = ""


class Answer(t.NamedTuple):
    """What one answer of a batch system contains.

    Attributes:
        kind: state (the job's state), over (the job ended, but not how), gone (no record of the job), nothing (nothing about the job), or
            unreadable (another format than the requested one).
        job: the job's state.
    """

    kind: str
    job: JobState


def table(name: str, tables: t.Optional[t.Dict[str, Table]] = None) -> Table:
    """The table of a batch system; SessionError if there is no batch system of that name."""
    tables = TABLES if tables is None else tables
    if name not in tables:
        raise SessionError("there is no batch system {0!r}".format(name), "the batch systems are " + ", ".join(sorted(tables)),
                           "set paraview_scheduler to one of them, or to auto, or describe it in paraview_schedulers")
    return tables[name]


def of(record: t.Any) -> Table:
    """The table of the batch system in a session's record; the inventory may have defined it."""
    return record.table or table(record.scheduler)


def fill(argv: t.List[str], **values: str) -> t.List[str]:
    """A command of a table with its placeholders filled in."""
    return [re.sub(r"\{(script|job_ids?|node)\}", lambda match: values.get(match.group(1), match.group(0)), word) for word in argv]


def offers(table: Table, field: str) -> bool:
    """Whether an answer of a batch system can contain a field."""
    return any(field in question["fields"] for question in table["ask"].values())


def command(table: Table, argv: t.List[str], **values: str) -> t.List[str]:
    """A command of a table with its placeholders filled in, about the cluster of its job.

    Args:
        table: the table.
        argv: the command. The option for a cluster takes the place of the word ``{cluster}``; without that word it follows the command's name.
        values: by placeholder. An id may carry its cluster, as ``123;inter``.
    """
    cluster = table.get("cluster_name", "")
    for name in ("job_id", "job_ids"):
        ids = [number_and_cluster(table, one) for one in values.get(name, "").split(",")] if name in values else []
        values.update({name: ",".join(number for number, _cluster in ids)} if ids else {})
        cluster = next((own for _number, own in ids if own), cluster)
    option = [word.replace("{cluster}", cluster) for word in table.get("cluster", ())] if cluster else []
    at = argv.index("{cluster}") if "{cluster}" in argv else 1
    return fill(argv[:at], **values) + option + fill([word for word in argv[at:] if word != "{cluster}"], **values)


def number_and_cluster(table: Table, job_id: str) -> t.Tuple[str, str]:
    """The parts of an id: the batch system's own id, and the cluster, which may be empty."""
    number, _separator, cluster = job_id.partition(";") if "cluster" in table else (job_id, "", "")
    return number, cluster


def read_job_id(table: Table, out: str) -> t.Optional[str]:
    """The job id in the output of a submit command, or None; there may be warnings around it. If several lines look like one, the last one counts."""
    match = _submitted(table, out)
    return match.group("job_id") if match else None


def no_such_option(err: str) -> bool:
    """Whether a program refused an option that its release does not have."""
    return _NO_SUCH_OPTION.search(err) is not None


def read_submission(table: Table, out: str) -> t.Optional[str]:
    """The same with the job's cluster, as ``123;inter``, if the output or the table names one."""
    match = _submitted(table, out)
    if not match:
        return None
    cluster = (match.group("cluster") if "cluster" in match.re.groupindex else "") or table.get("cluster_name", "")
    return match.group("job_id") + (";" + cluster if cluster and "cluster" in table else "")


def _submitted(table: Table, out: str) -> t.Optional[t.Match[str]]:
    found = list(re.finditer(table["submit"]["job_id"], clean(out, 20000), re.MULTILINE))
    return found[-1] if found else None


def same_job(requested: str, reported: str) -> bool:
    """Whether two ids name the same job. Either may omit the server's name; the reported one may be a range of an array, as ``530_[1-7,9%2]``."""
    if requested == reported or reported.startswith(requested + ".") or requested.startswith(reported + "."):
        return True
    element = re.match(r"^([0-9]+)_([0-9]{1,9})\Z", requested)
    elements = re.match(r"^([0-9]+)_\[([0-9,:-]{1,4000})(?:%[0-9]*)?\]\Z", reported)
    return bool(element and elements and element.group(1) == elements.group(1) and _in_ranges(int(element.group(2)), elements.group(2)))


def _in_ranges(number: int, ranges: str) -> bool:
    parts = [re.match(r"^([0-9]{1,9})(?:-([0-9]{1,9})(?::([1-9][0-9]{0,8}))?)?\Z", part) for part in ranges.split(",")]
    return any(part and int(part.group(1)) <= number <= int(part.group(2) or part.group(1))
               and (number - int(part.group(1))) % int(part.group(3) or 1) == 0 for part in parts)


def is_one_of(native: str, patterns: t.Iterable[str]) -> bool:
    """Whether a native state is one of those that a table lists, by name or by pattern."""
    return any(native == pattern or re.fullmatch(pattern, native) for pattern in patterns)


def has_left(table: Table, state: JobState) -> bool:
    """Whether a batch system has let go of a job: it has no record of it, or the job is over and no longer leaving."""
    return state.gone or (state.state in OVER and not is_one_of(state.native, table.get("leaving", ())))


def unknown(reason: str, explanation: str = "", gone: bool = False) -> JobState:
    """The state of a job about which nothing is known."""
    return JobState("unknown", "", reason, explanation, False, [], "", None, None, None, gone)


def waits(job: JobState) -> bool:
    """Whether a job waits, or is in a state that the table does not have. Such a state is no end."""
    return job.state == "pending" or (job.state == "unknown" and bool(job.native))


def in_words(job: JobState) -> str:
    """What a job waits for, in our words or in the batch system's; for a state that the table does not have, its name."""
    return job.explanation or job.reason or ("in state " + job.native if job.state == "unknown" and job.native else "")


def read(table: Table, question: Table, job_id: str, code: int, out: str, err: str) -> Answer:
    """Interprets the answer to one of a table's questions.

    Args:
        table: the table.
        question: an entry of its ``ask``.
        job_id: the job in question.
        code: the command's exit code.
        out, err: its output.
    """
    job_id, cluster = number_and_cluster(table, job_id)
    out = out[:_MOST].replace("\r\n", "\n")
    message, output = one_line(err) or one_line(out), out + "\n" + err
    unreadable = None
    try:
        fields = _FORMATS[question.get("format", "text")](question, job_id, out)
    except _Unreadable as error:
        fields, unreadable = {}, str(error)
    if fields:
        job = _interpret(table, question, fields)
        cluster = cluster or table.get("cluster_name", "")
        option = " ".join(word.replace("{cluster}", cluster) for word in table.get("cluster", ())) + " " if cluster else ""
        return Answer("state", job._replace(explanation=job.explanation.replace("{cluster}", option).replace("{job_id}", job_id)))
    if _matches(question, "gone", output) or (code == 0 and (_matches(question, "complete", out) or (
            question.get("silence") == "gone" and not output.strip()))):
        return Answer("gone", unknown(one_line(err), "{0} has no record of this job".format(table["title"]), True))
    if _matches(question, "over", output):
        return Answer("over", unknown(message, "it is over; how it ended is unknown")._replace(state="ended"))
    refused = _NO_SUCH_OPTION.search(err)
    if unreadable and code not in TIME_LIMIT:
        # If the server is down, stderr names the cause, whatever stdout has.
        down = code != 0 and not refused and _NOT_REACHED.search(err)
        return Answer("nothing" if down else "unreadable", unknown(message or _code(code), unreadable))
    other_form = code == 0 and out.strip() or refused
    job = unknown(message or "no answer ({0})".format(_code(code)), "{0} does not answer".format(table["title"]))
    return Answer("unreadable" if other_form else "nothing", job)


def _matches(question: Table, name: str, text: str) -> bool:
    return bool(question.get(name)) and re.search(question[name], text, re.MULTILINE) is not None


def _code(code: int) -> str:
    return "time limit" if code in TIME_LIMIT else "exit code {0}".format(code)


class _Unreadable(Exception):
    """An answer is not in the requested format; the text has the reason."""


# --- reading: raw values of one job; empty if the answer does not contain the job ---


def _text_fields(question: Table, job_id: str, out: str, decode: t.Callable[[str], str] = str) -> _Fields:
    if question.get("unwrap"):
        out = re.sub(question["unwrap"], "", out)
    own = _own_text(question, job_id, out)
    if own is None:
        return {}
    fields = {name: [decode(value) for value in _found(patterns, own)] for name, patterns in question["fields"].items()}
    fields = {name: values if name in question.get("every", ()) else values[:1] for name, values in fields.items()}
    for name, value in question.get("otherwise", {}).items() if fields.get("id") or "record" in question else ():
        fields[name] = fields.get(name) or [value]
    return fields if fields.get("native") else {}


def _own_text(question: Table, job_id: str, out: str) -> t.Optional[str]:
    """The part of a text that is about one job; None if there is none."""
    id_pattern = question["fields"].get("id")
    if "record" not in question:
        ids = _found(id_pattern, out) if id_pattern else []
        return None if ids and not same_job(job_id, ids[0]) else out
    records = []
    for match in re.finditer(question["record"], out, re.MULTILINE | (re.DOTALL if question.get("format") == "xml" else 0)):
        body = match.group("body") or ""
        ids = [match.group("id") or ""] if "id" in match.re.groupindex else _found(id_pattern, body)
        records.append((ids[:1] + _other_ids(question, match.group(0)), body))
    own = [body for ids, body in records if job_id in ids] or [body for ids, body in records if any(same_job(job_id, one) for one in ids)]
    if not own and len(records) == 1 and _names_its_array(job_id, records[0][0]):
        own = [records[0][1]]
    if not own:
        return None
    return own[-1] if question.get("latest") else "\n".join(own)


def _other_ids(question: Table, record: str) -> t.List[str]:
    """Ids of a job that are made of several parts of its record, such as the array and the index in it."""
    found = ((re.search(pattern, record), form) for pattern, form in question.get("other_ids", ()))
    return [match.expand(form) for match, form in found if match]


def _names_its_array(job_id: str, reported: t.List[str]) -> bool:
    """Whether a record names only the array of an element ``9004[2]`` that was asked for."""
    return re.match(r"^[0-9]+\[[0-9]+\]\Z", job_id) is not None and reported == [job_id.partition("[")[0]]


def _found(patterns: t.Union[str, t.List[str], None], text: str) -> t.List[str]:
    """Values of the first pattern that finds any."""
    for pattern in [patterns] if isinstance(patterns, str) else patterns or []:
        values = [match.group("value") or "" for match in re.finditer(pattern, text, re.MULTILINE)]
        if any(value.strip() for value in values):
            return [value for value in values if value.strip()]
    return []


def _xml_fields(question: Table, job_id: str, out: str) -> _Fields:
    import html

    return _text_fields(question, job_id, out, html.unescape)


def _json_fields(question: Table, job_id: str, out: str) -> _Fields:
    search = _jmespath()
    if search is None:
        raise _Unreadable("JSON is read with jmespath, which is not installed")
    data = _json(out)
    jobs = search(question["jobs"], data)
    queries = question["fields"].get("id", "id")
    found = [([reported], job) for reported, job in jobs.items()] if isinstance(jobs, dict) else [
        ([_scalar(search(query, job)) for query in ([queries] if isinstance(queries, str) else queries)], job)
        for job in jobs or [] if isinstance(job, dict)] if isinstance(jobs, list) else []
    own = [job for reported, job in found if isinstance(job, dict) and (
        any(same_job(job_id, one) for one in reported) or (question.get("single") and len(found) == 1))]
    if not own:
        return {}
    fields = {}
    for name, queries in question["fields"].items():
        values = [_scalar(search(query, own[-1])) for query in ([queries] if isinstance(queries, str) else queries)]
        fields[name] = [value for value in values if value.strip()][:1]
    return fields if fields.get("native") else {}


def _json(out: str) -> t.Any:
    import json

    # Some wrappers print lines of their own first.
    for text in (out, out[out.find("{"):]):
        try:
            return json.loads(text, strict=False)
        except (ValueError, RecursionError):
            pass
    raise _Unreadable("its answer is not JSON" if out.strip() else "no answer")


def _jmespath() -> t.Optional[t.Callable[[str, t.Any], t.Any]]:
    """jmespath.search that returns None instead of raising an error; None if the library is not installed."""
    try:
        import jmespath
    except ImportError:
        return None

    def search(query: str, data: t.Any) -> t.Any:
        try:
            return jmespath.search(query, data)
        except (jmespath.exceptions.JMESPathError, TypeError, RecursionError, ArithmeticError):
            return None

    return search


def _scalar(value: t.Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return ",".join(_scalar(one) for one in value if not isinstance(one, list))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


_FORMATS = {"text": _text_fields, "xml": _xml_fields, "json": _json_fields}


# --- meaning ---


def _interpret(table: Table, question: Table, fields: _Fields) -> JobState:
    first = {name: one_line(values[0], 1000) for name, values in fields.items() if values}
    native = first["native"]
    meaning = _Meaning(table, question, native, first.get("detail", ""))
    reasons = list(dict.fromkeys(one_line(value, 1000) for value in fields.get("reason", ()) if value.strip()))
    reasons = [reason for reason in reasons if reason not in table.get("no_reason", ())]
    reason = one_line("; ".join(reasons), 1000)
    exit_status = _exit_status(table, meaning.state, native, first)
    state, explanation = meaning.end(exit_status, first) if meaning.state in OVER else (meaning.state, meaning.explain(reasons))
    nodes = _nodes(table, fields.get("nodes", ()))
    root_node = hostlists.named(first.get("root_node", "")) or "".join(nodes[:1])
    nodes.sort(key=lambda name: name != root_node)
    return JobState(
        state=state, native=native, reason=reason, explanation=explanation, never=state == "pending" and meaning.verdict(reasons)[1] == "never",
        nodes=nodes, root_node=root_node, exit_status=exit_status,
        expected_start=_moment(first.get("expected_start", "")) if state == "pending" else None,
        time_left_s=_time_left(first) if state == "running" else None, gone=False,
        warning=state == "pending" and meaning.verdict(reasons)[1] == "may_pass", owner=first.get("owner", ""))


class _Meaning:
    """The meaning of a native state, and of its detail if that makes a difference."""

    def __init__(self, table: Table, question: Table, native: str, detail: str) -> None:
        self.table = table
        self.question = question
        token = re.match(r"-?[\w.]+", detail)
        self.names = (["{0}/{1}".format(native, token.group())] if token else []) + [native]
        states = question.get("states") or table["states"]
        self.state = _lookup({name: state for name, state in states.items() if name != "*"}, self.names) or states.get("*", "unknown")

    def verdict(self, reasons: t.List[str]) -> t.Tuple[str, str]:
        """Our sentence for a reason that is final or that may pass, and which of the two it is (never, may_pass); both are empty for any other reason.

        What a site itself says of a reason comes first. If that does not decide it, a reason may pass.
        """
        own = self.table.get("own_reasons", ())
        entries = [(pattern, sentence, kind) for kind in ("may_pass", "never") for pattern, sentence in self.table.get(kind, {}).items()]
        entries.sort(key=lambda entry: entry[0] not in own)
        found = [next(((sentence, kind) for pattern, sentence, kind in entries if re.fullmatch(pattern, reason, re.DOTALL)), ("", "")) for reason in reasons]
        # A job with several reasons cannot run if one of them is final.
        return max(found, key=lambda one: ("", "may_pass", "never").index(one[1]), default=("", ""))

    def explain(self, reasons: t.List[str]) -> str:
        """Our sentence for a job that is not over."""
        if self.state != "pending":
            reasons = []
        sentences = self.table.get("explanations", {})
        return self.verdict(reasons)[0] or _first_of_any(sentences, reasons) or _lookup(sentences, self.names)

    def end(self, exit_status: t.Optional[int], first: t.Dict[str, str]) -> t.Tuple[str, str]:
        """How a job ended, and our sentence for it. The reason is ignored: it may still be the one for which the job waited."""
        if self.question.get("may_be_walltime") and exit_status and _time_left(first) == 0:
            return "failed", "its wall time was over"
        state = "failed" if self.state == "ended" and exit_status else self.state
        explanation = _lookup(self.table.get("explanations", {}), self.names)
        if not explanation and state == "failed" and exit_status:
            number = -exit_status if self.table.get("negative_signals") and exit_status < 0 else exit_status - self.table.get("signals_from", 128)
            explanation = self.table.get("exits", {}).get(str(exit_status)) or _signal(number)
        return state, explanation


def _lookup(sentences: t.Dict[str, str], names: t.List[str]) -> str:
    """The sentence for the first name that has one; its key is the name itself, or a pattern that matches the whole name."""
    return next((sentence for name in names for sentence in [sentences.get(name) or _first_of_any(sentences, [name])] if sentence), "")


def _first_of_any(sentences: t.Dict[str, str], texts: t.List[str]) -> str:
    """The first sentence whose pattern matches any of the texts: a batch system lists its reasons in no particular order."""
    return next((sentence for pattern, sentence in sentences.items() if any(re.fullmatch(pattern, text, re.DOTALL) for text in texts)), "")


def _signal(number: int) -> str:
    if not 0 < number < 65:
        return ""
    try:
        return "it was killed by signal {0} ({1})".format(number, signal.Signals(number).name)
    except ValueError:
        return "it was killed by signal {0}".format(number)


def _nodes(table: Table, values: t.Iterable[str]) -> t.List[str]:
    if "node" in table:
        names = [match.group("value") or "" for value in values for match in re.finditer(table["node"], value[:_MOST])]
    else:
        names = [name for value in values for name in hostlists.expand(value)]
    return [name for name in dict.fromkeys(names) if hostlists.named(name)]


def _exit_status(table: Table, state: str, native: str, first: t.Dict[str, str]) -> t.Optional[int]:
    first = dict(first, **_divided(first.get("wait_status", "")))
    status = first.get("exit_status", "")
    if not re.match(r"^-?[0-9]{1,9}\Z", status) or not (state in OVER or is_one_of(native, table.get("exiting", ()))):
        return None
    text = first.get("signal", "0")
    number = int(text) if re.match(r"^[0-9]{1,9}\Z", text) else 0
    return table.get("signals_from", 128) + number if number else int(status)


def _divided(wait_status: str) -> t.Dict[str, str]:
    """The exit status and the signal in a wait status, as wait(2) returns it; empty if it shows no end."""
    number = int(wait_status) if re.match(r"^[0-9]{1,5}\Z", wait_status) else 0x7F
    # The low 7 bits are the signal, 0x80 is set if a core was dumped. A process that is stopped has 0x7F there.
    if number > 0xFFFF or number & 0x7F == 0x7F:
        return {}
    return {"exit_status": str(number >> 8), "signal": str(number & 0x7F)}


def _time_left(fields: t.Dict[str, str]) -> t.Optional[int]:
    ends, started = _epoch(fields.get("ends", "")), _epoch(fields.get("started", ""))
    if ends:
        return max(0, int(ends - time.time()))
    left = re.match(r"^([0-9]{1,6}):([0-9]{2})(?: L)?\Z", fields.get("left", ""))
    if left:
        return int(left.group(1)) * 3600 + int(left.group(2)) * 60
    limit, elapsed = _span(fields.get("limit", "")), _span(fields.get("elapsed", ""))
    if elapsed is None and started:
        elapsed = max(0, int(time.time() - started))
    return None if elapsed is None or not limit else max(0, limit - elapsed)


def _epoch(text: str) -> float:
    """A time in seconds since 1970; 0 for any other text."""
    return float(text) if re.match(r"^[0-9]{9,11}(?:\.[0-9]{1,9})?\Z", text) else 0.0


def _span(text: str) -> t.Optional[int]:
    """Seconds of ``[DAYS-][[HOURS:]MINUTES:]SECONDS``; None for anything else."""
    match = re.match(r"^(?:([0-9]{1,6})-)?((?:[0-9]{1,9}:){0,2}[0-9]{1,9})\Z", text)
    if not match:
        return None
    seconds = 0
    for part in match.group(2).split(":"):
        seconds = seconds * 60 + int(part)
    return int(match.group(1) or 0) * 86400 + seconds


# Batch systems are queried in English, whatever this host's locale is.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _moment(text: str) -> t.Optional[str]:
    """A point in time as ISO 8601 in the site's own zone (seconds since 1970: in the zone of this host); None for any other text."""
    if re.match(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{5,8}\Z", text):
        return text.replace(" ", "T")
    if re.match(r"^[0-9]{9,11}(?:\.[0-9]{1,9})?\Z", text):
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(float(text)))
    match = re.match(r"^(?:[A-Z][a-z]{2} )?([A-Z][a-z]{2}) +([0-9]{1,2}) ([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?: ([0-9]{4}))?(?: [A-Z])?\Z", text)
    if not match or match.group(1) not in _MONTHS:
        return None
    month, day = 1 + _MONTHS.index(match.group(1)), int(match.group(2))
    now = time.localtime()
    # A date without a year is the next such day.
    year = int(match.group(5) or now.tm_year + ((month, day) < (now.tm_mon, now.tm_mday)))
    return "{0:04d}-{1:02d}-{2:02d}T{3}{4}".format(year, month, day, match.group(3), match.group(4) or ":00")
