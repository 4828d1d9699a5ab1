# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client and a pvserver that go together: which ParaView here, and which modules there, before a job is queued."""


import typing as t

from ..common.errors import SessionError
from ..common.text import one_line
from ..config.settings import AUTO
from ..paraview import version_probe, versions
from ..paraview.installed import Installed
from . import site_modules
from .login_node import Run

# So many modules are loaded and asked, at most.
_TRIES = 4
_NOBODY = Installed("", "", "no paraview is found")
_SECONDS = 90


class Pair(t.NamedTuple):
    """What goes together.

    Attributes:
        client: the user's ParaView.
        server: what pvserver answered.
        modules: what the job loads.
        line: what the user reads of it.
    """

    client: Installed
    server: version_probe.Answer
    modules: t.List[str]
    line: str


class Pairing:
    """Finds the pair for a session.

    Args:
        script: ``script(text, seconds) -> (code, out, err)`` on the login node.
        clients: those that may be taken, the preferred first; may be empty.
        options: a session's. site: the site's own values.
        login: the login node, for messages. where: the client host, as ``here``.
    Attributes:
        server: of the last pvserver that was asked; None before that.
    """

    def __init__(self, script: Run, clients: t.List[Installed], options: t.Dict[str, t.Any], site: t.Dict[str, t.Any], login: str, where: str = "here") -> None:
        self.script, self.clients, self.options, self.site, self.login, self.where = script, clients or [_NOBODY], options, site, login, where
        self.offered: t.List[str] = site.get("pvserver_versions", [])
        self.server: t.Optional[version_probe.Answer] = None

    def pair(self) -> Pair:
        """What goes together; raises SessionError where nothing does."""
        named = self.options["modules"]
        if named[-1:] == [AUTO]:
            # The site's own choice of a ParaView is what auto takes the place of.
            return self._searched(named[:-1] or [name for name in self._others() if "paraview" not in name.lower()])
        modules = named or self._of_site()
        server = self._ask(modules)
        client = self._fitting(server.version)
        if client is None and not self.options["setup"]:
            raise self._differ(server.version)
        return self._pair(client or self.clients[0], server, modules)

    # -- modules that the site or the user names

    def _others(self) -> t.List[str]:
        """The site's modules but for those with pvserver."""
        return [name for name in self.site.get("modules", []) if name not in self.offered]

    def _of_site(self) -> t.List[str]:
        """The site's modules, with the pvserver among them that goes with a client."""
        if version_probe.by_path(self.options["pvserver"]):
            for client in self.clients:
                best = versions.module_for(client.version, self.offered, self.options["gpus_per_node"])
                if best:
                    return self._others() + [best]
        return self.site.get("modules", [])

    def _ask(self, modules: t.List[str]) -> version_probe.Answer:
        self.server = self._answer(modules)
        return self.server

    def _answer(self, modules: t.List[str]) -> version_probe.Answer:
        if version_probe.chooses_pvserver(self.options["mpi_launcher"]):
            return version_probe.Answer("", "{0} takes it from elsewhere".format(one_line(" ".join(self.options["mpi_launcher"]), 80)), "", [])
        return version_probe.ask(self.script, modules, self.options["pvserver"])

    def _fitting(self, version: str) -> t.Optional[Installed]:
        """The client that goes with a pvserver: the preferred one, the same version, the newest, one that is not known."""
        if not version:
            return self.clients[0]
        known = [one for one in self.clients if one.version and versions.go_together(one.version, version)]
        preferred = [one for one in known[:1] if one is self.clients[0]]
        same = [one for one in known if one.version == version]
        return next(iter(preferred + same + known + [one for one in self.clients if not one.version]), None)

    def _differ(self, version: str) -> SessionError:
        names = self.offered
        if version_probe.by_path(self.options["pvserver"]):
            names = names + [name for name in self._listed([]) if name not in names]
        best = [versions.module_for(client.version, names, self.options["gpus_per_node"]) for client in self.clients]
        error = versions.differ(self.clients[0].version, version, self.login, names, next(filter(None, best), ""), self.where)
        if len(self.clients) > 1:
            error.why += "; so it is with {0}".format(versions.listed(
                "{0} ({1})".format(one.program, one.version) for one in self.clients[1:]))
        return error

    # -- a search

    def _searched(self, before: t.List[str]) -> Pair:
        """A pair with a module that the site offers and that goes with a client."""
        wanted = self.options["pvserver"]
        if not version_probe.by_path(wanted):
            raise SessionError("paraview_modules: {0!r} cannot be".format(AUTO), "no module decides which pvserver {0!r} starts".format(" ".join(wanted)),
                               "name the modules that it needs, or leave paraview_pvserver out")
        names = self.offered + [name for name in self._listed(before) if name not in self.offered]
        if not any(one.version for one in self.clients):
            raise SessionError("paraview_modules: {0!r} cannot choose".format(AUTO),
                               "ParaView's version {0} is not known ({1})".format(self.where, self.clients[0].why),
                               "name the program in paraview_client_program, or one of the modules: {0}".format(versions.listed(names) or "none is found"))
        tried: t.List[str] = []
        silent: t.List[Pair] = []
        for client in self.clients:
            for name in self._candidates(client, names)[:_TRIES if len(tried) < _TRIES else 0]:
                found = self._try(client, before, name, tried, silent)
                if found:
                    return found
        plain = self._ask(before)
        client = self._fitting(plain.version) if plain.version else None
        if client and client.version:
            return self._pair(client, plain, before)
        if silent:
            return silent[0]
        raise self._nothing(names, tried)

    def _candidates(self, client: Installed, names: t.List[str]) -> t.List[str]:
        """Modules for a client by their names: those that the site publishes first, at last one whose name has no version."""
        gpus = self.options["gpus_per_node"]
        found = versions.modules_fitting(client.version, self.offered, gpus)
        found += [name for name in versions.modules_fitting(client.version, names, gpus) if name not in found]
        return found or [name for name in names if client.version and not versions.version_of(name)][:1]

    def _try(self, client: Installed, before: t.List[str], name: str, tried: t.List[str], silent: t.List[Pair]) -> t.Optional[Pair]:
        """Loads a module and asks its pvserver. What Lmod wants loaded before it is loaded too.

        Args:
            client: the ParaView. before: modules to load before. name: the module.
            tried: gets why it is not taken. silent: gets the pair where pvserver is there and does not tell its version.
        """
        answer = None
        ways = [before]
        for way in ways:
            modules = way + [name]
            answer = self._ask(modules)
            if answer.fault == "unloaded" and way is before:
                ways += [before + [one for one in needed if one not in before] for needed in answer.needs]
            elif answer.version:
                if versions.go_together(client.version, answer.version):
                    return self._pair(client, answer, modules)
                tried.append("{0} has {1}".format(name, answer.version))
                return None
            elif not answer.fault and versions.version_of(name):
                silent.append(self._pair(client, answer, modules))
                break
        tried.append("{0}: {1}".format(name, answer.why))
        return None

    def _nothing(self, names: t.List[str], tried: t.List[str]) -> SessionError:
        why = "it offers {0}".format(versions.listed(names)) if names else "it lists no module with ParaView"
        if tried:
            why = "tried were {0}".format("; ".join(tried))
        known = sorted({versions.version_of(name) for name in names if versions.version_of(name)}, key=versions.numbers)
        way = "start ParaView {0} {1}, or name".format(" or ".join(known[-3:]), self.where) if known else "name"
        return SessionError("no module of {0} goes with ParaView {1} {2}".format(
            self.login, " or ".join(one.version for one in self.clients if one.version), self.where), why,
            way + " the modules in paraview_modules{0}".format(" (there are {0})".format(versions.listed(names)) if tried and names else ""))

    def _listed(self, before: t.List[str]) -> t.List[str]:
        return site_modules.names(self.script(site_modules.listing(before), _SECONDS)[1])

    # -- words

    def _pair(self, client: Installed, server: version_probe.Answer, modules: t.List[str]) -> Pair:
        return Pair(client, server, modules, self._line(client, server, modules))

    def _line(self, client: Installed, server: version_probe.Answer, modules: t.List[str]) -> str:
        module = "module {0}".format(modules[-1]) if modules else ""
        if client.version:
            path = " ({0})".format(client.program) if "/" in client.program else ""
            mine = "ParaView {0} {1}{2}".format(client.version, self.where, path)
        else:
            mine = "ParaView's version {0} is not known ({1})".format(self.where, client.why)
        if server.version:
            more = [module] if module else []
            more += ["paraview_setup may change it"] if not versions.go_together(client.version, server.version) else []
            theirs = "{0}{1} there".format("" if client.version else "pvserver ", server.version) + (" ({0})".format("; ".join(more)) if more else "")
        else:
            theirs = "pvserver's version there is not known ({0})".format("; ".join(one for one in (module, server.why) if one))
        return "{0}, {1}".format(mine, theirs)
