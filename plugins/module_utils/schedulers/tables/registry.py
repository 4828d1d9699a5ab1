# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Batch systems as data: one table each. The guide "Batch systems" describes the entries; answers.py reads them.

This file is generated: `make generate` writes it from the other files in this directory.
"""

import typing as t

from . import flux, grid_engine, lsf, none, oar, pbs, slurm, torque

#: A batch system's entries by name, or those of one of its questions.
Table = t.Dict[str, t.Any]
#: The tables by name, in the order of detection: a system with wrappers of another one's commands comes after that one.
TABLES: t.Dict[str, Table] = {
    "slurm": slurm.TABLE,
    "pbs": pbs.TABLE,
    "sge": grid_engine.TABLE,
    "torque": torque.TABLE,
    "lsf": lsf.TABLE,
    "flux": flux.TABLE,
    "oar": oar.TABLE,
    "none": none.TABLE,
}
