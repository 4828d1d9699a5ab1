# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of a session's sockets: the control path, one of these, and a port."""

#: The socket at which ssh and paraview-lifeline on the client host meet.
STUB = ".r"
#: What leads to a port of another host on which ParaView runs, and goes with the connection to it.
TO_CLIENT = ".t"
#: What is led to from a port there.
FROM_CLIENT = ".s"
