# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a login node reports about itself, and which of its batch systems is meant."""

import typing as t

from ..common.errors import SessionError
from ..schedulers import directives
from ..schedulers.tables.registry import Table
from . import site_file


def batch_system(options: t.Dict[str, t.Any], facts: t.Dict[str, t.Any], tables: t.Dict[str, Table]) -> str:
    """The name of the batch system to use, which can give what is wished; SessionError where it cannot.

    Args:
        options: a session's. facts: as facts_of() gives them. tables: those that were looked for.
    """
    scheduler = scheduler_of(options["scheduler"], facts, tables)
    if facts["site"].get("account_required") and not options["account"]:
        raise SessionError("paraview_account is missing", "jobs on {0} have to name an account".format(facts["login_node"]), "set it to one of yours there")
    directives.check(tables[scheduler], directives.requested(options, facts["site"]))
    return scheduler


def scheduler_of(wanted: str, facts: t.Dict[str, t.Any], tables: t.Dict[str, Table]) -> str:
    """The name of the batch system to use; SessionError where it cannot be had.

    Args:
        wanted: its name, or ``auto``.
        facts: as facts_of() gives them.
        tables: those that were looked for.
    """
    found, login = facts["schedulers"], facts["login_node"]
    titles = " and ".join(tables[name]["title"] for name in found)
    if wanted == "auto":
        return _found(facts, tables)
    if tables[wanted].get("on_login_node") and found and not facts["site"].get("pvserver_on_login_node"):
        raise SessionError("paraview_scheduler: {1!r} would run pvserver on the login node {0}".format(login, wanted),
                           "it has {0}, and the site does not allow it (pvserver_on_login_node in {1})".format(titles, site_file.PATH),
                           "leave paraview_scheduler out, so that pvserver runs as a job")
    if "detect" in tables[wanted] and wanted not in found:
        raise SessionError("{0} was not found on {1}".format(tables[wanted]["title"], login),
                           "{0} is not on the PATH there, or another system's{1}".format(
                               tables[wanted]["detect"]["argv"][0], "; there is " + titles if titles else ""),
                           "leave paraview_scheduler out, or make the command found by a login shell")
    return wanted


def _found(facts: t.Dict[str, t.Any], tables: t.Dict[str, Table]) -> str:
    """The batch system to take: the one that the site names, else the first that shows itself."""
    found = [name for name in facts["schedulers"] if not tables[name].get("on_login_node")]
    named = facts["site"].get("scheduler", "")
    # One without a way to show itself can only be named.
    if named in found or (named in tables and not {"detect", "on_login_node"} & set(tables[named])):
        return named
    if not found:
        raise SessionError("no batch system was found on {0}".format(facts["login_node"]), "none of its commands is on the PATH there: {0}".format(
            ", ".join(sorted({table["detect"]["argv"][0] for table in tables.values() if "detect" in table}))),
            "set paraview_scheduler, or describe the site's own in paraview_schedulers; where pvserver may run on the login node itself, set it to none")
    return found[0]
