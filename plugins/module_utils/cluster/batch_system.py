# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The choice of a batch system on a login node."""

import typing as t

from ..common.errors import SessionError
from ..schedulers import directives
from ..schedulers.tables.registry import Table
from . import site_file


def batch_system(options: t.Dict[str, t.Any], facts: t.Dict[str, t.Any], tables: t.Dict[str, Table]) -> str:
    """The name of the batch system to use.

    Args:
        options: of the session.
        facts: as facts_of() returns them.
        tables: the batch systems that were searched for, by name.
    Raises:
        SessionError: there is no such batch system, or it cannot give what the options request.
    """
    scheduler = scheduler_of(options["scheduler"], facts, tables)
    if options.get("job_id"):
        # Nothing is submitted.
        return scheduler
    if facts["site"].get("account_required") and not options["account"] and not directives.replaces(tables[scheduler], options, "account"):
        raise SessionError("paraview_account is missing", "a job on {0} must name an account".format(facts["login_node"]), "name one of your accounts there")
    directives.check(tables[scheduler], directives.requested(options, facts["site"]))
    return scheduler


def scheduler_of(requested: str, facts: t.Dict[str, t.Any], tables: t.Dict[str, Table]) -> str:
    """The name of the batch system to use; SessionError if it is not available.

    Args:
        requested: its name, or ``auto``.
        facts: as facts_of() returns them.
        tables: the batch systems that were searched for, by name.
    """
    found, login = facts["schedulers"], facts["login_node"]
    titles = " and ".join(tables[name]["title"] for name in found)
    if requested == "auto":
        return _found(facts, tables)
    if tables[requested].get("on_login_node") and found and not facts["site"].get("pvserver_on_login_node"):
        raise SessionError("paraview_scheduler: {1!r} would run pvserver on the login node {0}".format(login, requested),
                           "it has {0}, and the site does not allow it (pvserver_on_login_node in {1})".format(titles, site_file.PATH),
                           "leave paraview_scheduler out, so that pvserver runs as a job")
    if "detect" in tables[requested] and requested not in found:
        raise SessionError("{0} was not found on {1}".format(tables[requested]["title"], login),
                           "{0} is not on the PATH there, or belongs to another batch system{1}".format(
                               tables[requested]["detect"]["argv"][0], "; found: " + titles if titles else ""),
                           "leave paraview_scheduler out, or put the command on the PATH of a login shell")
    return requested


def _found(facts: t.Dict[str, t.Any], tables: t.Dict[str, Table]) -> str:
    """The batch system to use: the one that the site names, else the first that was detected."""
    found = [name for name in facts["schedulers"] if not tables[name].get("on_login_node")]
    named = facts["site"].get("scheduler", "")
    # A batch system without a command for its detection is used only if it is named.
    if named in found or (named in tables and not {"detect", "on_login_node"} & set(tables[named])):
        return named
    if not found:
        raise SessionError("no batch system was found on {0}".format(facts["login_node"]), "none of its commands is on the PATH there: {0}".format(
            ", ".join(sorted({table["detect"]["argv"][0] for table in tables.values() if "detect" in table}))),
            "set paraview_scheduler, or describe the site's own in paraview_schedulers; if pvserver may run on the login node itself, set it to none")
    return found[0]
