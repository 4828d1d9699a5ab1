"""The lab as a pytest fixture. PARAVIEW_LAB=skip leaves its tests out; where CI is set a lab that does not come up fails them."""

import os
import platform
import signal
import subprocess
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent

# Started in the background of a script these are ignored, and so they would be by every command of the lab.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


class Lab:
    """The commands of tests/lab, as functions."""

    hosts = ("workstation", "firewall", "login", "login2", "compute1", "compute2")

    @staticmethod
    def command(name, *args, check=True, timeout=60, text_input=None):
        """Run one of the lab's own commands."""
        done = subprocess.run(
            [HERE / name, *args], input=text_input, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode:
            words = " ".join(str(word) for word in (name, *args))
            raise AssertionError(f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def up(self, *args, check=True):
        # the first one builds
        return self.command("up", *args, check=check, timeout=1800)

    def down(self):
        return self.command("down", timeout=120)

    def on(self, host, *cmd, user=None, input=None, check=True, timeout=60):
        """Run CMD on HOST; returns what subprocess.run does."""
        options = ("-u", user) if user else ()
        return self.command("on", *options, host, *cmd, check=check, timeout=timeout, text_input=input or "")

    def start(self, host, *cmd, user=None, **options):
        """Start CMD on HOST; returns what subprocess.Popen does, text and pipes unless told otherwise."""
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True} | options
        return subprocess.Popen([HERE / "on", *(("-u", user) if user else ()), host, *cmd], **options)

    def path(self, *args):
        self.command("path", *args)

    def sshd_policy(self, host, policy, check=True):
        """Make POLICY (text) the only drop-in of HOST's sshd; None: as in a fresh lab."""
        if policy is None:
            return self.command("sshd-policy", host, "--reset", check=check)
        return self.command("sshd-policy", host, "-", check=check, text_input=policy)

    @staticmethod
    def wait(condition, seconds=10, what="the condition"):
        """Wait until CONDITION() is true, and return what it returned."""
        end = time.monotonic() + seconds
        result = condition()
        while not result:
            assert time.monotonic() < end, f"{what} did not come true within {seconds} s"
            time.sleep(0.05)
            result = condition()
        return result


@pytest.fixture(scope="session")
def lab():
    """The lab, up, with the checkout's collection on its workstation."""
    if os.environ.get("PARAVIEW_LAB") == "skip":
        pytest.skip("PARAVIEW_LAB=skip")
    give_up = pytest.fail if os.environ.get("CI") else pytest.skip
    if platform.system() != "Linux" or os.getuid():
        give_up("the lab needs Linux and root")
    the_lab = Lab()
    done = the_lab.up(check=False)
    if done.returncode:
        give_up(f"the lab does not come up: {done.stderr.strip()[-2000:]}")
    return the_lab


@pytest.fixture
def desk(lab):
    """alice at her desk, with nothing there of an earlier session, nor afterwards."""
    from desk import Desk

    desk = Desk(lab)
    desk.clean_up()
    yield desk
    desk.clean_up()
