# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a session's script is started on a node of a job that exists already."""

# Another account may have made a directory of that name on the node.
RUN = 'cd "${1%/*}" && [ -O . ] && exec /bin/sh "./${1##*/}"'
#: The words of a command that runs the script.
WORDS = ["/bin/sh", "-c", RUN, "sh", "{script}"]
