# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own version, wherever its code runs: installed, in a checkout, or in the launcher's archive."""

import functools
import json
import os
import pkgutil
import re
import typing as t

_TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
#: A file of the launcher's archive, below its package ``launcher``.
PACKED = "launcher.json"


@functools.lru_cache(maxsize=None)
def version() -> str:
    """The version; empty if it is unknown."""
    for read in (_of_manifest, _of_galaxy, _of_archive):
        try:
            found = read()
        except (OSError, ValueError, KeyError, TypeError, ImportError, AttributeError):
            continue
        return found if re.match(r"[0-9][0-9A-Za-z.+-]{0,30}\Z", found) else ""
    return ""


def _text(name: str) -> str:
    with open(os.path.join(_TOP, name), encoding="utf-8") as stream:
        return stream.read()


def _of_manifest() -> str:
    """From the file that ansible-galaxy writes."""
    return str(json.loads(_text("MANIFEST.json"))["collection_info"]["version"])


def _of_galaxy() -> str:
    """From the file of a checkout."""
    found = re.search(r"(?m)^version: *['\"]?([^\s'\"#]+)", _text("galaxy.yml"))
    return found.group(1) if found else ""


def _of_archive() -> str:
    package = __name__.rpartition(".")[0].rpartition(".")[0]
    content: t.Optional[bytes] = pkgutil.get_data(package + ".launcher", PACKED)
    return str(json.loads((content or b"{}").decode("utf-8"))["version"])
