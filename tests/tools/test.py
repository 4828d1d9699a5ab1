"""Run every part of `make test`, or of `make torture`, even if another part failed, and print one line with the totals.

lint, sanity and build count as one each; of unit and lab, each pytest test counts. The unit tests run first, with both processors to themselves: many of them
have time limits. Then the lab: all its tests on the main generation, those marked `everywhere` on each other one, in two labs in parallel, since a test waits
for other hosts most of the time. lint, sanity, build and the bases of the other generations run in parallel with the lab, at low priority. Their output is
shown when they have ended. `torture` runs all tests, the long ones too, on every generation.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

TOP = Path(__file__).resolve().parents[2]
RESULTS = TOP / ".cache" / "results"
STEPS = ("lint", "sanity", "build")
LAST = ("nice", "-n", "19")
CI = os.environ.get("CI") == "true"
SAMPLE, ALL = "everywhere and not torture", "torture or not torture"


class Run:
    """The parts that were run, and their results."""

    def __init__(self):
        RESULTS.mkdir(parents=True)
        self.total, self.lines, self.skipped = Counter(), [], {}

    def part(self, name, work):
        """Runs one part, and adds its line."""
        start = time.monotonic()
        print(f"=== {name}", flush=True)
        count = work()
        self.total.update(count)
        self.lines.append(f"{name}: {closing(count)} ({time.monotonic() - start:.0f} s)")

    def pytest(self, target, name, marked=None, **variables):
        """Counter: the results of a target of the Makefile that runs pytest."""
        report = RESULTS / f"{name.replace(' ', '-')}.xml"
        choice = [f'-m "{marked}"'] if marked else []
        code = make(target, PYTEST_ARGS=" ".join([f"--junitxml={report}", *choice]), **variables)
        count = self._tally(report, name)
        if code and not count["failed"]:
            count["failed"] += 1  # pytest was aborted, or found no test
        return count

    def _tally(self, report, name):
        count = Counter()
        for suite in ElementTree.parse(report).iter("testsuite") if report.exists() else ():
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped = int(suite.get("skipped", 0))
            count.update(failed=bad, skipped=skipped, passed=int(suite.get("tests", 0)) - bad - skipped)
            reasons = Counter(test.get("message", "") for test in suite.iter("skipped"))
            self.skipped.update({f"{name}: skipped {number}: {reason}": None for reason, number in reasons.items()})
        return count

    def close(self):
        """int: the exit status; prints a line for each part, why something was skipped, and one line for all."""
        print("=== all", *self.lines, *self.skipped, closing(self.total), sep="\n", flush=True)
        return 1 if self.total["failed"] else 0


def make(target, before=(), output=None, **variables):
    settings = [f"{name}={value}" for name, value in variables.items()]
    return subprocess.call([*before, "make", "--no-print-directory", target, *settings], cwd=TOP, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def quietly(name, command=None):
    """Counter: the result of a command at low priority; without a command, of make's target of that name."""
    with open(RESULTS / f"{name}.log", "wb") as output:
        command = command or ("make", "--no-print-directory", name)
        code = subprocess.call([*LAST, *command], cwd=TOP, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        return Counter(failed=1) if code else Counter(passed=1)


def generations():
    """list[str]: the lab's generations, the main one first."""
    return subprocess.check_output(["bash", "-c", '. tests/lab/lib.sh; echo "${SUITES[@]}"'], cwd=TOP, text=True).split()


def lab(run, suite, marked):
    """The lab needs root. In CI it is mandatory."""
    if os.geteuid() != 0 and not CI:
        print("lab: skipped, it needs root")
        return Counter(skipped=1)
    os.environ["PARAVIEW_LAB_SUITE"] = suite
    count = run.pytest("labs", f"lab {suite}", marked)
    if CI and not count["passed"] and not count["failed"]:
        print("lab: skipped, which counts as failed in CI")
        return Counter(failed=1)
    return count


def stop_first_lab():
    """str: the generation of a first lab that was up and is now down; empty if none was up."""
    if os.geteuid() or subprocess.call(["tests/lab/on", "login", "true"], cwd=TOP, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        return ""
    suite = Path("/run/sciviz-paraview-lab/ready").read_text().strip()
    return suite if make("lab-down") == 0 else ""


def everything(run, torture):
    first, *others = generations()
    was_up = stop_first_lab()
    run.part("unit", lambda: run.pytest("unit", "unit", ALL if torture else None))

    def in_parallel():
        for name in STEPS:
            run.part(name, lambda name=name: quietly(name))
        if os.geteuid() == 0:
            quietly("bases", ("tests/lab/image", *others, "bullseye"))  # a missing base fails in the part that needs it

    parallel = threading.Thread(target=in_parallel)
    parallel.start()
    for suite in (first, *others):
        run.part(f"lab {suite}", lambda suite=suite: lab(run, suite, ALL if torture else None if suite == first else SAMPLE))
    parallel.join()
    for name in (*STEPS, "bases"):
        log = RESULTS / f"{name}.log"
        print(f"=== {name}", log.read_text(errors="replace") if log.exists() else "", sep="\n", end="", flush=True)
    if was_up:
        os.environ["PARAVIEW_LAB_SUITE"] = was_up
        make("lab-up")


def main():
    shutil.rmtree(RESULTS, ignore_errors=True)
    run = Run()
    if make("venv"):
        run.total.update(failed=1)
        return run.close()
    everything(run, sys.argv[1:] == ["torture"])
    return run.close()


def closing(count):
    return f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped"


if __name__ == "__main__":
    sys.exit(main())
