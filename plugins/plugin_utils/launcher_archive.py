# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""paraview-launch as one file: an archive that Python runs, with the helpers and programs that it needs, and jmespath."""

import ast
import importlib.util
import io
import json
import re
import typing as t
import zipfile
from importlib import metadata
from pathlib import Path, PurePosixPath

from ..module_utils.common import collection, programs
from ..module_utils.common.errors import SessionError
from ..module_utils.launcher import options as launch_options

TOP = Path(__file__).resolve().parents[2]
ENTRY = "launcher.main"
PACKAGE = "sciviz_paraview"
_HEAD = "# The launcher of sciviz.paraview; GPL-3.0-or-later\n"
_MAIN = _HEAD + "import sys\n\nfrom {0}.{1} import run\n\nsys.exit(run())\n"
# A fixed date, so that the same program consists of the same bytes.
_DAY = (1980, 1, 1, 0, 0, 0)
# The length of a first line that the kernel reads.
_LONGEST = 120


def build(interpreter: str, options: t.Optional[dict] = None) -> bytes:
    """The program.

    Args:
        interpreter: absolute path of the Python that runs it.
        options: the site's defaults of the launcher's options.
    """
    first = "#!{0} -IS\n".format(interpreter)
    if not re.match(r"/[\x21-\x7e]+\Z", interpreter) or len(first) > _LONGEST:
        raise SessionError("{0!r} cannot run the launcher".format(interpreter),
                           "it must be an absolute path without blanks, of at most {0} bytes".format(_LONGEST - 7), "name another Python")
    files = {"__main__.py": _MAIN.format(PACKAGE, ENTRY).encode(), PACKAGE + "/__init__.py": _HEAD.encode()}
    helpers = TOP / "plugins/module_utils"
    for name in modules(helpers, ENTRY):
        path = name.replace(".", "/")
        files.update({"{0}/{1}/__init__.py".format(PACKAGE, one): _HEAD.encode() for one in parents(path)})
        files["{0}/{1}.py".format(PACKAGE, path)] = (helpers / (path + ".py")).read_bytes()
    files.update({"{0}/common/{1}/{2}".format(PACKAGE, *one): Path(programs.path(*one)).read_bytes() for one in programs.OF_THE_LAUNCHER})
    files[PACKAGE + "/launcher/launcher.json"] = json.dumps({"version": version(), "options": launch_options.preset(options or {})}, sort_keys=True).encode()
    files.update(jmespath())
    return first.encode() + packed(files)


def parents(path: str) -> t.List[str]:
    """All parent directories of a file."""
    return [str(one) for one in PurePosixPath(path).parents if one.name]


def modules(place: Path, entry: str) -> t.List[str]:
    """A module and all modules below a directory that it imports, directly or indirectly; as ``package.module``."""
    found: t.Set[str] = set()
    todo = [entry]
    while todo:
        name = todo.pop()
        path = place.joinpath(*name.split("."))
        if name not in found and not path.is_dir():
            found.add(name)
            todo += imported(ast.parse(path.with_suffix(".py").read_text(encoding="utf-8")), name)
    return sorted(found)


def imported(tree: ast.AST, name: str) -> t.List[str]:
    """The modules that a module imports relatively; in an import from a package, each name is a module."""
    names: t.List[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = name.split(".")[:-node.level]
            inner = package + node.module.split(".") if node.module else package
            names += [".".join(inner)] if (TOP / "plugins/module_utils").joinpath(*inner).with_suffix(".py").is_file() else [
                ".".join([*inner, one.name]) for one in node.names]
    return names


def version() -> str:
    """The collection's version."""
    return collection.version() or "unknown"


def jmespath() -> t.Dict[str, bytes]:
    """jmespath with its licence, if this controller has it."""
    spec = importlib.util.find_spec("jmespath")
    if not spec or not spec.submodule_search_locations:
        return {}
    place = Path(next(iter(spec.submodule_search_locations)))
    files = {"jmespath/" + one.name: one.read_bytes() for one in place.glob("*.py")}
    try:
        licences = [one for one in metadata.distribution("jmespath").files or [] if one.name.upper().startswith("LICENSE")]
    except metadata.PackageNotFoundError:
        licences = []
    for one in licences[:1]:
        files["jmespath/LICENSE"] = one.read_binary()
    return files


def packed(files: t.Dict[str, bytes]) -> bytes:
    """An archive, identical for the same files. Nothing is compressed, since the result would depend on zlib's version."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            about = zipfile.ZipInfo(name, _DAY)
            about.external_attr = 0o644 << 16
            about.create_system = 3
            archive.writestr(about, files[name])
    return stream.getvalue()
