# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-launch: starts pvserver as a job for the ParaView at the other end of an ssh connection.

ssh runs this program on the login node, and has opened the forward. The program submits the job, prints its progress, checks
the forward and starts pvserver. When ssh ends, all of that ends.
"""

import json
import os
import pkgutil
import sys
import typing as t

from ..common import programs
from ..common.errors import SessionError
from . import options as launch_options
from .caller import Caller, HungUp
from .session import LauncherSession
from .shells import Shells

#: A file that is packed with the program: its version, and the site's defaults for options.
PACKED = "launcher.json"


def packed() -> t.Dict[str, t.Any]:
    """The contents of the packed file."""
    try:
        return json.loads(pkgutil.get_data(__package__, PACKED).decode("utf-8"))
    except OSError:
        return {"version": "(not packed)", "options": {}}


def about() -> t.List[str]:
    """Lines on the version and the settings of this program."""
    contents = packed()
    library = _jmespath()
    parser = "jmespath {0}".format(library.__version__) if library else "no jmespath: batch systems are read without JSON"
    lines = ["paraview-launch {0} of sciviz.paraview".format(contents["version"]),
             "Python {0}".format(".".join(str(number) for number in sys.version_info[:3])), parser]
    return lines + ["{0}: {1}".format(name, json.dumps(value)) for name, value in sorted(contents["options"].items())]


def main(arguments: t.List[str], program: str = "") -> int:
    """Runs the launcher; returns the exit status.

    Args:
        arguments: of the command line.
        program: path of the packed program; empty if it is not packed.
    """
    _open_standard_streams()
    caller = Caller()
    environment = launch_options.own_environment()
    try:
        if program:
            _hide(arguments, environment, program)
        options = launch_options.parser().parse_args(arguments)
        if options.command == "about":
            for text in about():
                caller.show(text)
            return 0
        _load_all()
        return _launch(launch_options.read(options, environment, packed()["options"]), caller)
    except SessionError as error:
        _show_error(caller, error)
    return 1


def _hide(arguments: t.List[str], environment: t.Dict[str, str], program: str) -> None:
    """If the command line has a connect-id, the program starts again with the connect-id in its environment."""
    rest, connect_id = launch_options.without_connect_id(arguments)
    if connect_id:
        variables = {launch_options.PREFIX + name.upper(): value for name, value in dict(environment, connect_id=connect_id).items()}
        os.execve(sys.executable, [sys.executable, "-IS", os.path.abspath(program)] + rest, dict(os.environ, **variables))


def _load_all() -> None:
    """Loads everything that is needed later: the packed file may be replaced by a newer one while the program waits."""
    programs.load()
    _jmespath()


def _jmespath() -> t.Any:
    """The library; None if it is not packed, or if it is too new for this Python."""
    try:
        import jmespath
    except (ImportError, SyntaxError):
        sys.modules["jmespath"] = None
        return None
    return jmespath


def _launch(options: launch_options.Options, caller: Caller) -> int:
    if options.leave and not caller.server:
        raise SessionError("--leave is not available here", "ssh did not call this program, so it could not notice when to end", "leave it out")
    caller.catch_signals()
    shells = Shells(caller)
    session = LauncherSession(options, caller, shells)
    in_background = False
    code = 1
    try:
        session.start()
        in_background = options.leave
        if in_background and os.fork():
            # From here on the child process has the shells.
            os._exit(0)
        if in_background:
            os.setsid()
            caller.release()
        session.wait_until_over()
        code = 0
    except HungUp as reason:
        caller.show_error("{0}: {1}".format(reason, "job {0} is cancelled".format(session.record.job_id) if session.record.job_id else "nothing was submitted"))
        code = 0 if session.connected else 1
    except SessionError as error:
        _show_error(caller, error)
        code = 0 if session.connected else 1
    finally:
        left = session.clear_up()
    if left:
        caller.show_error("could not be undone: {0}".format(left))
        return 1
    return code


def _show_error(caller: Caller, error: SessionError) -> None:
    for text in error.lines():
        caller.show_error(launch_options.with_option_names(text))


def _open_standard_streams() -> None:
    """Opens the standard streams that are closed, so that no pipe gets one of their numbers."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.dup(descriptor)
    os.close(descriptor)


def run() -> int:
    """Runs the packed program; returns its exit status. An internal error is shown in three lines instead of a traceback."""
    try:
        return main(sys.argv[1:], sys.argv[0])
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # pylint: disable=broad-except
        at = error.__traceback__
        while at.tb_next:
            at = at.tb_next
        Caller().show_error("paraview-launch failed\ninternal error: {0}: {1} ({2}, line {3})\nplease report it with these lines".format(
            type(error).__name__, error, os.path.basename(at.tb_frame.f_code.co_filename), at.tb_lineno))
        return 1
