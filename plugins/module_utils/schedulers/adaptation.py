# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch system's table with what a session's settings, or the site, change in it."""

import typing as t

from . import answers, validation
from .tables.registry import Table


def tables(options: t.Dict[str, t.Any]) -> t.Dict[str, Table]:
    """Every batch system's table by name, as validation.tables() returns it, with what the settings change.

    Args:
        options: as settings.check() returns them.
    """
    return {name: adapted(table, options, {}) for name, table in validation.tables(options["schedulers"]).items()}


def adapted(table: Table, options: t.Dict[str, t.Any], site: t.Dict[str, t.Any]) -> Table:
    """A table with what the settings and the site change.

    Args:
        table: the table.
        options: as settings.check() returns them.
        site: the site's own values.
    """
    changed = dict(table)
    if "cluster" in table and options.get("slurm_cluster"):
        changed["cluster_name"] = options["slurm_cluster"]
    if table.get("on_demand") and (options.get("nodes_on_demand") or site.get("nodes_on_demand")):
        changed["may_pass"] = dict(table["on_demand"], **table.get("may_pass", {}))
        changed["own_reasons"] = list(dict.fromkeys(table.get("own_reasons", []) + list(table["on_demand"])))
    if not options.get("scheduler_json", True) or not site.get("scheduler_json", True):
        changed["ask"] = _without_json(table["ask"])
    return changed


def for_record(name: str, table: Table) -> t.Optional[Table]:
    """The table for a session's record: None if it is the shipped one of that name."""
    return None if table == answers.TABLES.get(name) else table


def _without_json(ask: t.Dict[str, Table]) -> t.Dict[str, Table]:
    """The questions whose answers are no JSON. If no question is left, all of them."""
    left = {name: question for name, question in ask.items() if question.get("format") != "json"}
    if not left:
        return ask
    first = next(iter(left))
    # The first question is asked in any case.
    return dict(left, **{first: {key: value for key, value in left[first].items() if key != "when"}})
