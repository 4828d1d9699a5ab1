# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers what a login node has, in one round trip; documented in plugins/modules/site_facts.py."""

import yaml
from ansible_collections.sciviz.paraview.plugins.module_utils import directives, scheduler_checks, settings, site, site_file
from ansible_collections.sciviz.paraview.plugins.module_utils.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.text import one_line
from ansible_collections.sciviz.paraview.plugins.plugin_utils.session_action import SessionAction


class ActionModule(SessionAction):
    def act(self, arguments):
        record = self.session.read()
        if not record.get("facts"):
            record = self._gather(record["settings"])
        return {"changed": False, "site": record["facts"], "scheduler": record["scheduler"]}

    def _gather(self, wishes):
        tables = scheduler_checks.tables(wishes["schedulers"])
        code, out, err = self.channel().script(site.probe(tables), 90)
        try:
            facts = site.read(out, tables)
        except (KeyError, ValueError):
            raise SessionError("cannot make out what {0} is".format(self.name), one_line(err or out) or "it answered nothing",
                               "a POSIX shell with hostname and id is needed there; try: ssh {0} /bin/sh -c id".format(self.name))
        if "sed" in facts["missing"] or "grep" in facts["missing"]:
            raise SessionError("{0} lacks {1}".format(self.name, " ".join(facts["missing"])), "they are not on its PATH", "ask the site")
        facts["site"] = self._site(facts)
        facts["cluster_address"] = facts["site"].get("cluster_address", "")
        scheduler = self._scheduler(wishes["scheduler"], facts, tables)
        if facts["site"].get("account_required") and not wishes["account"]:
            raise SessionError("paraview_account is missing", "jobs on {0} have to name an account".format(facts["login_node"]), "set it to one of yours there")
        directives.check(tables[scheduler], settings.asked(wishes, facts["site"]))
        return self.session.update(facts=facts, scheduler=scheduler, table=tables[scheduler] if scheduler in wishes["schedulers"] else None,
                                   prelude=facts["prelude"], login_node=facts["login_node"])

    def _site(self, facts):
        if facts.pop("site_untrusted"):
            self.say("{0} is passed over: root alone should own and write it and its directory".format(site_file.PATH))
        try:
            values = site.settings(yaml.safe_load(facts.pop("site_text")))
        except yaml.YAMLError:
            self.say("{0} is passed over: it is no YAML".format(site_file.PATH))
            return {}
        if values.get("message"):
            self.say(one_line(values["message"]))
        return values

    def _scheduler(self, wish, facts, tables):
        found, login = facts["schedulers"], facts["login_node"]
        titles = " and ".join(tables[name]["title"] for name in found)
        if wish == "auto":
            return self._found(facts, tables)
        if wish == "none" and found and not facts["site"].get("pvserver_on_login_node"):
            raise SessionError("paraview_scheduler: 'none' would run pvserver on the login node {0}".format(login),
                               "it has {0}, and the site does not allow it (pvserver_on_login_node in {1})".format(titles, site_file.PATH),
                               "leave paraview_scheduler out, so that pvserver runs as a job")
        if "detect" in tables[wish] and wish not in found:
            raise SessionError("{0} was not found on {1}".format(tables[wish]["title"], login),
                               "{0} is not on the PATH there, or another system's{1}".format(
                                   tables[wish]["detect"]["argv"][0], "; there is " + titles if titles else ""),
                               "leave paraview_scheduler out, or make the command found by a login shell")
        return wish

    def _found(self, facts, tables):
        """The batch system to take: the one that the site names, else the first that shows itself."""
        found = facts["schedulers"]
        named = facts["site"].get("scheduler", "")
        if named in found:
            return named
        if not found:
            raise SessionError("no batch system was found on {0}".format(facts["login_node"]), "none of its commands is on the PATH there: {0}".format(
                ", ".join(sorted({about["detect"]["argv"][0] for about in tables.values() if "detect" in about}))),
                "set paraview_scheduler, or describe the site's own in paraview_schedulers; where pvserver may run on the login node itself, set it to none")
        return found[0]
