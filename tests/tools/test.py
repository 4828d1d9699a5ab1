"""Run every part of `make test`, whatever the others said, and close with one line that counts them all.

lint, sanity and build count as one each; of unit and lab each pytest test counts. The unit tests come first, with both processors to themselves: many of them
have time limits. The lab waits for other hosts most of the time, so lint, sanity and build run beside it, where it leaves room; what they say is shown when
they have ended.
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


def make(target, before=(), output=None, **variables):
    settings = [f"{name}={value}" for name, value in variables.items()]
    return subprocess.call([*before, "make", "--no-print-directory", target, *settings], cwd=TOP, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def step(name):
    with open(RESULTS / f"{name}.log", "wb") as output:
        return Counter(passed=1) if make(name, LAST, output) == 0 else Counter(failed=1)


def pytest(name):
    report = RESULTS / f"{name}.xml"
    code = make(name, PYTEST_ARGS=f"--junitxml={report}")
    count = tally(report)
    if code and not count["failed"]:
        count["failed"] += 1  # pytest broke off, or found no test
    return count


def tally(report):
    count = Counter()
    if report.exists():
        for suite in ElementTree.parse(report).iter("testsuite"):
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped = int(suite.get("skipped", 0))
            count.update(failed=bad, skipped=skipped, passed=int(suite.get("tests", 0)) - bad - skipped)
    return count


def lab():
    """The lab needs root; in CI it is no choice. It is left as it was found: up or down."""
    if os.geteuid() != 0 and not CI:
        print("lab: skipped, it needs root")
        return Counter(skipped=1)
    was_up = subprocess.call(["tests/lab/on", "login", "true"], cwd=TOP, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    count = pytest("lab")
    if not was_up and make("lab-down"):
        count["failed"] += 1
    if CI and not count["passed"] and not count["failed"]:
        print("lab: skipped, which counts as failed in CI")
        return Counter(failed=1)
    return count


def main():
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir(parents=True)
    if make("venv"):
        print(closing(Counter(failed=1)), flush=True)
        return 1
    total, lines = Counter(), []

    def run(name, part):
        start = time.monotonic()
        count = part(name)
        total.update(count)
        lines.append(f"{name}: {closing(count)} ({time.monotonic() - start:.0f} s)")

    print("=== unit", flush=True)
    run("unit", pytest)
    beside = threading.Thread(target=lambda: [run(name, step) for name in STEPS])
    beside.start()
    print("=== lab", flush=True)
    run("lab", lambda _name: lab())
    beside.join()
    for name in STEPS:
        print(f"=== {name}", (RESULTS / f"{name}.log").read_text(errors="replace"), sep="\n", end="", flush=True)
    print("=== all", *lines, sep="\n")
    print(closing(total), flush=True)
    return 1 if total["failed"] else 0


def closing(count):
    return f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped"


if __name__ == "__main__":
    sys.exit(main())
