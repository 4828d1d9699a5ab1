# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-launch: starts pvserver as a job for the ParaView at the other end of an ssh connection.

ssh runs it on the login node, and has made the forward; this is the rest: it submits the job, says what becomes of it, looks
at the forward and starts pvserver. When ssh goes, so does all of it.
"""

import json
import os
import pkgutil
import sys
import typing as t

from ..common import programs
from ..common.errors import SessionError
from . import options as launch_options
from .caller import HungUp, Line
from .session import Launch
from .shells import Shells

#: What was packed with the program: its version, and the site's own values for what users leave unsaid.
PACKED = "launcher.json"


def packed() -> t.Dict[str, t.Any]:
    """What was packed with the program."""
    try:
        return json.loads(pkgutil.get_data(__package__, PACKED).decode("utf-8"))
    except OSError:
        return {"version": "(not packed)", "options": {}}


def about() -> t.List[str]:
    """What this program is."""
    known = packed()
    library = _jmespath()
    reads = "jmespath {0}".format(library.__version__) if library else "no jmespath: batch systems are read without JSON"
    lines = ["paraview-launch {0} of sciviz.paraview".format(known["version"]), "Python {0}".format(".".join(str(one) for one in sys.version_info[:3])), reads]
    return lines + ["{0}: {1}".format(name, json.dumps(value)) for name, value in sorted(known["options"].items())]


def main(arguments: t.List[str], program: str = "") -> int:
    """Exit status.

    Args:
        arguments: of the command line.
        program: path of the packed program; empty where it is not.
    """
    _open_standard_streams()
    line = Line()
    environment = launch_options.own_environment()
    try:
        if program:
            _hide(arguments, environment, program)
        options = launch_options.parser().parse_args(arguments)
        if options.command == "about":
            for text in about():
                line.show(text)
            return 0
        _load_all()
        return _launch(launch_options.read(options, environment, packed()["options"]), line)
    except SessionError as error:
        _tell(line, error)
    return 1


def _hide(arguments: t.List[str], environment: t.Dict[str, str], program: str) -> None:
    """Begins anew without a connect-id on the command line."""
    rest, connect_id = launch_options.hidden(arguments)
    if connect_id:
        said = {launch_options.PREFIX + name.upper(): value for name, value in dict(environment, connect_id=connect_id).items()}
        os.execve(sys.executable, [sys.executable, "-IS", os.path.abspath(program)] + rest, dict(os.environ, **said))


def _load_all() -> None:
    """Takes in what would be looked for later: the file may be replaced by a newer one while this one waits."""
    programs.load()
    _jmespath()


def _jmespath() -> t.Any:
    """The library, or None; what was packed may be too new for this Python, and is then as good as not there."""
    try:
        import jmespath
    except (ImportError, SyntaxError):
        sys.modules["jmespath"] = None
        return None
    return jmespath


def _launch(options: launch_options.Options, line: Line) -> int:
    if options.leave and not line.server:
        raise SessionError("--leave cannot be had here", "this program was not called by ssh, so that nothing would tell it when to end", "leave it out")
    line.listen()
    shells = Shells(line)
    launch = Launch(options, line, shells)
    guarded = False
    code = 1
    try:
        launch.start()
        guarded = options.leave
        if guarded and os.fork():
            # The guard has the shells from here on.
            os._exit(0)
        if guarded:
            os.setsid()
            line.leave()
        launch.attend()
        code = 0
    except HungUp as gone:
        line.complain("{0}: {1}".format(gone, "job {0} is cancelled".format(launch.record.job_id) if launch.record.job_id else "nothing was submitted"))
        code = 0 if launch.connected else 1
    except SessionError as error:
        _tell(line, error)
        code = 0 if launch.connected else 1
    finally:
        left = launch.clear_up()
    if left:
        line.complain("could not be undone: {0}".format(left))
        return 1
    return code


def _tell(line: Line, error: SessionError) -> None:
    for text in error.lines():
        line.complain(launch_options.spoken(text))


def _open_standard_streams() -> None:
    """A pipe shall not get the number of a stream that was closed."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.dup(descriptor)
    os.close(descriptor)


def run() -> int:
    """Exit status of the packed program; no error of its own is told as a traceback."""
    try:
        return main(sys.argv[1:], sys.argv[0])
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # pylint: disable=broad-except
        at = error.__traceback__
        while at.tb_next:
            at = at.tb_next
        Line().complain("paraview-launch failed\nan error of its own: {0}: {1} ({2}, line {3})\nplease report it, with these lines".format(
            type(error).__name__, error, os.path.basename(at.tb_frame.f_code.co_filename), at.tb_lineno))
        return 1
