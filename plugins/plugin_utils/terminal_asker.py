# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ssh's prompts in the terminal of the playbook."""

import typing as t

from ansible.errors import AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.utils.display import Display

from ..module_utils.common.errors import SessionError
from ..module_utils.common.text import clean
from ..module_utils.ssh.prompts import Asker
from .worker_display import uninterrupted

display = Display()


class TerminalAsker(Asker):
    """Prompts the user in the playbook's terminal.

    Args:
        name: the session's, which stands before each line.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def ask(self, text: str, private: bool) -> t.Optional[bytes]:
        try:
            return display.prompt_until(self._lines(text), private=private)
        except AnsiblePromptNoninteractive:
            return None
        except AnsiblePromptInterrupt:
            raise SessionError("the login on {0} was cancelled".format(self.name), "its prompt was not answered", "connect again", cancelled=True)

    def show(self, text: str) -> None:
        with uninterrupted():
            display.display(self._lines(text))

    def _lines(self, text):
        return "\n".join("{0}: {1}".format(clean(self.name, 100), line) for line in clean(text, 4000).splitlines() or [""])
