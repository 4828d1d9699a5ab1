"""A screen of the lab's workstation, with ParaView's real window on it."""

import time


class Screen:
    """A screen without a window manager, and what somebody starts on it.

    Args:
        lab (Lab): from conftest.py.
        user (str): whose it is.
        display (str): such as :77.
        place (str): a directory of the user's for what the programs say.
    """

    def __init__(self, lab, user, display, place):
        self.lab, self.user, self.display, self.place, self.started = lab, user, display, place, []
        self.start("Xvfb", display, "-noreset", "-screen", "0", "1280x900x24")
        lab.wait(lambda: not self.type("getdisplaygeometry").returncode, 90, "a screen")

    def start(self, *words, **environment):
        # A desktop gives its programs another PATH than a terminal.
        known = {"DISPLAY": self.display, "PATH": "/usr/bin:/bin", **environment}
        self.started.append(self.lab.start(
            "workstation", "env", *(f"{name}={value}" for name, value in known.items()), "sh", "-c", 'exec "$@" > $0 2>&1', f"{self.place}/{words[0]}.log",
            *words, user=self.user))

    def type(self, *words):
        return self.lab.on("workstation", "env", f"DISPLAY={self.display}", "xdotool", *words, user=self.user, check=False)

    def windows(self, name):
        return self.type("search", "--onlyvisible", "--name", name).stdout.split()

    def press(self, key, name):
        """Presses a key in every window of a name: what has the focus is nobody's business here."""
        for window in self.windows(name):
            self.type("windowfocus", window)
            self.type("key", "--window", window, key)

    def click(self, name, right, down):
        """Clicks at a place of a window."""
        self.type("mousemove", "--window", self.windows(name)[0], str(right), str(down))
        self.type("click", "1")

    def accept(self, name):
        """Presses Return in a window until it is gone, and not once more: the next window would take it for its own."""
        self.lab.wait(lambda: self.windows(name), 30, f"the window {name}")
        self.until_gone(name, lambda: self.press("Return", name))

    def until_gone(self, name, act):
        for _attempt in range(10):
            act()
            end = time.monotonic() + 2
            while time.monotonic() < end:
                if not self.windows(name):
                    return
                time.sleep(0.05)
        raise AssertionError(f"the window {name} stays")

    def paraview(self, *words, **environment):
        """Starts ParaView, and leaves its greeting."""
        self.start("paraview", *words, **environment)
        self.accept("Welcome to ParaView")

    def been_here_before(self):
        """Makes the user one whom ParaView does not greet: where it keeps that, only ParaView knows, so it is started once."""
        self.paraview()
        self.quit()
        said = r"sed -i 's/^\[General\]$/&\nGeneralSettings.ShowWelcomeDialog=false/' ~/.config/ParaView/*.ini"
        self.lab.on("workstation", "sh", "-c", said, user=self.user)

    def leave(self, gone):
        """Presses Ctrl+Q in a ParaView that was not started here, until gone() is true."""
        def look():
            self.press("ctrl+q", "^ParaView")
            return gone()

        self.lab.wait(look, 90, "the end of ParaView")

    def choose(self, file, entry, **environment):
        """Starts ParaView with an entry of a file, and accepts what it asks."""
        self.paraview(f"--servers-file={file}", f"--server={entry}", **environment)
        if self.windows("Connection Options"):
            self.accept("Connection Options")

    def pick(self, number):
        """Opens the Connect dialog, and takes an entry by its place in the list."""
        self.lab.wait(lambda: self.windows("^ParaView"), 90, "ParaView")
        self.lab.wait(lambda: self.windows("Choose Server") or self._open_dialog(), 90, "the Connect dialog")
        self.click("Choose Server", 100, 47 + 30 * number)
        self.until_gone("Choose Server", lambda: self.click("Choose Server", 440, 360))

    def _open_dialog(self):
        self.press("alt+f", "^ParaView")
        self.type("key", "c")

    def quit(self):
        """Leaves ParaView as its user would."""
        paraview = self.started[-1]

        def gone():
            self.press("ctrl+q", "^ParaView")
            return paraview.poll() is not None

        self.lab.wait(gone, 90, "the end of ParaView")

    def close(self):
        for process in reversed(self.started[1:]):
            process.kill()  # and with it all that it started
            process.wait(20)
        # The screen takes its lock away.
        self.started[0].terminate()
        self.started[0].wait(20)
