# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of a session's sockets. A name consists of the control path, one of these, and a port."""

#: The socket between ssh and paraview-lifeline's stub.
STUB = ".r"
#: A socket that is forwarded to a port of another client host; it ends with the connection to that host.
TO_CLIENT = ".t"
#: A socket to which a port of another client host is forwarded.
FROM_CLIENT = ".s"
