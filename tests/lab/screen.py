"""A screen of the lab's workstation, with ParaView's real window on it."""


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
        lab.wait(lambda: not self.type("getdisplaygeometry").returncode, 10, "a screen")

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

    def accept(self, name):
        """Presses Return in a window until it is gone."""
        self.lab.wait(lambda: self.windows(name), 30, f"the window {name}")

        def gone():
            self.press("Return", name)
            return not self.windows(name)

        self.lab.wait(gone, 20, f"the end of the window {name}")

    def choose(self, file, entry, **environment):
        """Starts ParaView with an entry of a file, and accepts what it asks."""
        self.start("paraview", f"--servers-file={file}", f"--server={entry}", **environment)
        self.accept("Welcome to ParaView")
        if self.windows("Connection Options"):
            self.accept("Connection Options")

    def quit(self):
        """Leaves ParaView as its user would."""
        paraview = self.started[-1]

        def gone():
            self.press("ctrl+q", "^ParaView")
            return paraview.poll() is not None

        self.lab.wait(gone, 20, "the end of ParaView")

    def close(self):
        for process in reversed(self.started[1:]):
            process.kill()  # and with it all that it started
            process.wait(20)
        # The screen takes its lock away.
        self.started[0].terminate()
        self.started[0].wait(20)
