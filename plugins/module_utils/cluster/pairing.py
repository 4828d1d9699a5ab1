# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses a client and a pvserver that are compatible, before a job is submitted: a ParaView on the client host, and modules on the cluster."""

import typing as t

from ..common.errors import SessionError
from ..common.text import one_line
from ..config.settings import AUTO
from ..paraview import version_probe, versions, wrappers
from ..paraview.installed import Installed
from ..schedulers import amounts
from . import site_modules
from .login_node import Run

# At most so many modules are loaded to query their pvserver.
_TRIES = 4
_NO_CLIENT = Installed("", "", "no paraview is found")
_SECONDS = 90


class Pair(t.NamedTuple):
    """A client and a pvserver for the session.

    Attributes:
        client: the user's ParaView.
        server: the answer of pvserver.
        modules: the modules that the job loads.
        line: the line for the user.
    """

    client: Installed
    server: version_probe.Answer
    modules: t.List[str]
    line: str


class Pairing:
    """Finds the pair for a session.

    Args:
        script: ``script(text, seconds) -> (code, out, err)`` on the login node.
        clients: the ParaViews that may be used, the preferred one first; may be empty.
        options: of the session. site: the values of site.yml.
        login: the login node, for messages. where: the client host, as ``here``.
    Attributes:
        server: the answer of the last pvserver that was queried; None before that.
    """

    def __init__(self, script: Run, clients: t.List[Installed], options: t.Dict[str, t.Any], site: t.Dict[str, t.Any], login: str, where: str = "here") -> None:
        self.script, self.clients, self.options, self.site, self.login, self.where = script, clients or [_NO_CLIENT], options, site, login, where
        self.offered: t.List[str] = site.get("pvserver_versions", [])
        self.server: t.Optional[version_probe.Answer] = None

    def pair(self) -> Pair:
        """The pair; raises SessionError if no pair is compatible."""
        named = self.options["modules"]
        if named[-1:] == [AUTO]:
            # auto replaces the ParaView module that the site chose.
            return self._searched(named[:-1] or [name for name in self._others() if "paraview" not in name.lower()])
        modules = named or self._of_site()
        server = self._query(modules)
        client = self._fitting(server.version)
        if client is None and not self.options["setup"]:
            raise self._incompatible(server.version)
        return self._pair(client or self.clients[0], server, modules)

    # -- modules that the site or the user names

    def _others(self) -> t.List[str]:
        """The site's modules without those that contain pvserver."""
        return [name for name in self.site.get("modules", []) if name not in self.offered]

    def _of_site(self) -> t.List[str]:
        """The site's modules, including the pvserver module that is compatible with a client."""
        if version_probe.by_path(self.options["pvserver"]):
            for client in self.clients:
                best = versions.module_for(client.version, self.offered, amounts.gpus_on_a_node(self.options))
                if best:
                    return self._others() + [best]
        return self.site.get("modules", [])

    def _query(self, modules: t.List[str]) -> version_probe.Answer:
        self.server = self._answer(modules)
        return self.server

    def _answer(self, modules: t.List[str]) -> version_probe.Answer:
        launcher = self.options["mpi_launcher"]
        words = version_probe.question_of(self.options["pvserver"], launcher)
        if not words and wrappers.chooses_pvserver(launcher):
            return version_probe.Answer("", "{0} chooses pvserver itself".format(one_line(" ".join(launcher), 80)), "", [])
        return version_probe.ask(self.script, modules, words or self.options["pvserver"])

    def _fitting(self, version: str) -> t.Optional[Installed]:
        """The client for a pvserver: the preferred one if it is compatible, else one of the same version, of a compatible or of an unknown one."""
        if not version:
            return self.clients[0]
        compatible = [client for client in self.clients if client.version and versions.go_together(client.version, version)]
        preferred = [client for client in compatible[:1] if client is self.clients[0]]
        same = [client for client in compatible if client.version == version]
        return next(iter(preferred + same + compatible + [client for client in self.clients if not client.version]), None)

    def _incompatible(self, version: str) -> SessionError:
        names = self.offered
        if version_probe.by_path(self.options["pvserver"]):
            names = names + [name for name in self._listed([]) if name not in names]
        best = [versions.module_for(client.version, names, amounts.gpus_on_a_node(self.options)) for client in self.clients]
        error = versions.differ(self.clients[0].version, version, self.login, names, next(filter(None, best), ""), self.where)
        if len(self.clients) > 1:
            error.why += "; the same holds for {0}".format(versions.listed(
                "{0} ({1})".format(client.program, client.version) for client in self.clients[1:]))
        return error

    # -- a search

    def _searched(self, before: t.List[str]) -> Pair:
        """A pair with a module that the site offers and that is compatible with a client."""
        command = self.options["pvserver"]
        if not version_probe.by_path(command):
            raise SessionError("paraview_modules: {0!r} is not valid".format(AUTO), "no module decides which pvserver {0!r} starts".format(" ".join(command)),
                               "name the modules that it needs, or leave paraview_pvserver out")
        names = self.offered + [name for name in self._listed(before) if name not in self.offered]
        if not any(one.version for one in self.clients):
            raise SessionError("no module can be chosen (paraview_modules: {0})".format(AUTO),
                               "ParaView's version {0} is not known ({1})".format(self.where, self.clients[0].why),
                               "name the program in paraview_client_program, or one of the modules: {0}".format(versions.listed(names) or "none is found"))
        tried: t.List[str] = []
        unconfirmed: t.List[Pair] = []
        for client in self.clients:
            for name in self._candidates(client, names)[:_TRIES if len(tried) < _TRIES else 0]:
                pair = self._try(client, before, name, tried, unconfirmed)
                if pair:
                    return pair
        without_module = self._query(before)
        client = self._fitting(without_module.version) if without_module.version else None
        if client and client.version:
            return self._pair(client, without_module, before)
        if unconfirmed:
            return unconfirmed[0]
        raise self._no_module(names, tried)

    def _candidates(self, client: Installed, names: t.List[str]) -> t.List[str]:
        """Modules for a client, chosen by their names: first those in site.yml. If no name has the version, one whose name has none."""
        gpus = amounts.gpus_on_a_node(self.options)
        found = versions.modules_fitting(client.version, self.offered, gpus)
        found += [name for name in versions.modules_fitting(client.version, names, gpus) if name not in found]
        return found or [name for name in names if client.version and not versions.version_of(name)][:1]

    def _try(self, client: Installed, before: t.List[str], name: str, tried: t.List[str], unconfirmed: t.List[Pair]) -> t.Optional[Pair]:
        """Loads a module and queries its pvserver. Modules that Lmod requires before it are loaded too.

        Args:
            client: the ParaView. before: modules to load before. name: the module.
            tried: gets the reason if the module is not used.
            unconfirmed: gets the pair if pvserver is found but does not print its version.
        """
        answer = None
        choices = [before]
        for earlier in choices:
            modules = earlier + [name]
            answer = self._query(modules)
            if answer.fault == "unloaded" and earlier is before:
                choices += [before + [module for module in needed if module not in before] for needed in answer.needs]
            elif answer.version:
                if versions.go_together(client.version, answer.version):
                    return self._pair(client, answer, modules)
                tried.append("{0} has {1}".format(name, answer.version))
                return None
            elif not answer.fault and versions.version_of(name):
                unconfirmed.append(self._pair(client, answer, modules))
                break
        tried.append("{0}: {1}".format(name, answer.why))
        return None

    def _no_module(self, names: t.List[str], tried: t.List[str]) -> SessionError:
        why = "it offers {0}".format(versions.listed(names)) if names else "it lists no module with ParaView"
        if tried:
            why = "tried: {0}".format("; ".join(tried))
        offered = sorted({versions.version_of(name) for name in names if versions.version_of(name)}, key=versions.numbers)
        way_out = "start ParaView {0} {1}, or name".format(" or ".join(offered[-3:]), self.where) if offered else "name"
        return SessionError("no module of {0} goes with ParaView {1} {2}".format(
            self.login, " or ".join(client.version for client in self.clients if client.version), self.where), why,
            way_out + " the modules in paraview_modules{0}".format(" (there are {0})".format(versions.listed(names)) if tried and names else ""))

    def _listed(self, before: t.List[str]) -> t.List[str]:
        return site_modules.names(self.script(site_modules.listing(before), _SECONDS)[1])

    # -- the line for the user

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
            remarks = [module] if module else []
            remarks += ["paraview_setup may change it"] if not versions.go_together(client.version, server.version) else []
            theirs = "{0}{1} there".format("" if client.version else "pvserver ", server.version) + (" ({0})".format("; ".join(remarks)) if remarks else "")
        else:
            theirs = "pvserver's version there is not known ({0})".format("; ".join(part for part in (module, server.why) if part))
        return "{0}, {1}".format(mine, theirs)
