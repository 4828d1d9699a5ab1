# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status file of a job, in which its script writes an event a line."""

import re
import typing as t

from ..schedulers import hostlists


class Progress:
    """The contents of the status file.

    Attributes:
        host: where the job script runs. nodes: of the job. addresses: IPv4 addresses of that host.
        output: pvserver's status lines. connected: a client has connected. exiting: pvserver has begun to exit.
        fault: the kind of fault that kept pvserver from starting, and the thing it concerns.
        display: the job's report on displays, for rendering; may be empty.
        ranks: number of hosts on which ranks of pvserver run; None until the job reports it.
        unwatched: the job is the user's own, and none of its processes is readable, so its end shows only in the batch system's answers.
        round: number of the pvserver that the job has started, from 1. left: exit status of pvserver, after which the job is kept and waits; None before that.
        ended: exit status, and why: pvserver, idle, walltime, outage, lost, cancelled, job or attach.
        elsewhere: pvserver accepts connections, but not on this host.
        lifeline: whether an agent can run; None until the job reports it.
        agent: where the lifeline's agent listens.
    """

    def __init__(self, text: str = "") -> None:
        self.host, self.elsewhere, self.display, self.unwatched = "", False, "", False
        self.ranks: t.Optional[int] = None
        self.nodes: t.List[str] = []
        self.addresses: t.List[str] = []
        self.output: t.List[str] = []
        self.fault: t.Optional[t.Tuple[str, str]] = None
        self.round = 1
        self.left: t.Optional[int] = None
        self.ended: t.Optional[t.Tuple[int, str]] = None
        self.lifeline: t.Optional[bool] = None
        self.agent: t.Optional[t.Tuple[str, int]] = None
        for line in text.split("\n"):
            self._read(line)
        # A list that is sorted by name need not begin with the node on which the script runs.
        own = self.host.partition(".")[0]
        self.nodes.sort(key=lambda name: name.partition(".")[0] != own)

    @property
    def connected(self) -> bool:
        return any(line.startswith("Client connected") for line in self.output)

    @property
    def exiting(self) -> bool:
        return any(line.startswith("Exiting") for line in self.output)

    def _read(self, line: str) -> None:
        word, _blank, rest = line.partition(" ")
        if word == "running":
            self.host = "".join(hostlists.expand(rest)[:1])
        elif word == "nodes":
            self.nodes = [name for part in rest.split() for name in hostlists.expand(part)]
        elif word == "addresses":
            self.addresses = re.findall(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])", rest)[:32]
        elif word == "said":
            self.output.append(rest)
        elif word in ("missing", "module", "ports", "rendering"):
            self.fault = (word, rest)
        elif word == "elsewhere":
            self.elsewhere = True
        elif word == "display":
            self.display = rest
        elif word == "ranks" and re.match(r"^[0-9]{1,9}\Z", rest):
            self.ranks = int(rest)
        elif word == "unwatched":
            self.unwatched = True
        elif word == "lifeline":
            self.lifeline = bool(rest)
        elif word == "agent":
            self._read_agent(rest)
        elif word == "round":
            self.round = int(rest) if re.match(r"^[0-9]{1,9}\Z", rest) else self.round
        elif word == "left":
            self.left = int(rest) if re.match(r"^[0-9]{1,9}\Z", rest) else 1
        elif word == "ended":
            code, _blank, why = rest.partition(" ")
            self.ended = (int(code) if re.match(r"^[0-9]{1,9}\Z", code) else 1, why)

    def _read_agent(self, rest: str) -> None:
        match = re.match(r"^([0-9.]{7,15}) ([0-9]{1,5})\Z", rest)
        if match:
            self.agent = (match.group(1), int(match.group(2)))
        else:
            self.fault = ("agent", rest)
