"""paraview-lifeline against the same way without it: directly, through a plain relay, through ssh. Ratios of one run, medians of interleaved rounds.

"ssh (copies)" has two C programs in place of both ends that do nothing but copy what comes: no program there can cost less.

All traffic stays in a network namespace of its own, with PID and mount namespaces around it that take everything along at the end.
Nothing is bound to a processor: on a workstation ParaView, the stub and ssh share what there is, too.
"""

import argparse
import contextlib
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
PROGRAM = TOP / "roles" / "connect" / "files" / "paraview-lifeline"
RELAY = TOP / "roles" / "relay" / "files" / "paraview-relay"
CACHE = TOP / ".cache" / "bench"

SERVER, AGENT, TUNNEL_TO_SERVER, RELAYED, SSHD, COPY_THERE, COPY_HERE = range(7000, 7007)
# Where the line enters the tunnel, as connect has it: a socket beside the rest.
ENTRANCE, COPY_ENTRANCE = "entrance", "entrance-copies"
BULK_S, SMALL_S = 0.6, 0.4
LONGEST_S = 900

# What is measured: title, whether more is better, and the limit of the ratio through ssh
FIGURES = {
    "up": ("bulk up", True, 0.9), "down": ("bulk down", True, 0.9),
    "small_p50": ("64 B p50", False, None), "large_p50": ("64 KiB p50", False, 1.3), "large_p99": ("64 KiB p99", False, None),
}
# Each way with the lifeline, and the same way without it
WAYS = {"straight": "direct", "straight (relay)": "relay", "ssh": "ssh alone", "copies (ssh)": "ssh alone"}
PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable


def traffic(*words):
    return subprocess.Popen([str(CACHE / "traffic"), *map(str, words)], stdout=subprocess.PIPE, text=True)


def asked(what, port, *words):
    """list[float]: what one run of the load generator says."""
    process = traffic(what, "127.0.0.1", port, *words)
    try:
        said = process.communicate(timeout=60)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise SystemExit(f"{what} hangs")
    if process.returncode:
        raise SystemExit(f"{what} failed")
    return [float(word) for word in said.split()]


def listens(port):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def until(condition, what):
    end = time.monotonic() + 15
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what} does not come up")
        time.sleep(0.02)


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tunnel_cpu_s():
    """float: CPU seconds of ssh and sshd, all that there are in this namespace."""
    return sum(cpu_s(path.parent.name) for path in Path("/proc").glob("[0-9]*/comm") if path.read_text().startswith("ssh"))


class Lifeline:
    """Both ends for one connection; their CPU and memory are known when they have ended."""

    def __init__(self, directory, line_to):
        self.key = directory / "key"
        self.key.write_text(os.urandom(32).hex() + "\n")
        self.key.chmod(0o600)
        self.agent = self._start(directory, "agent", "--to", f"127.0.0.1:{SERVER}", "--line-listen", f"127.0.0.1:{AGENT}")
        self.agent.stdout.readline()
        self.stub = self._start(directory, "stub", "--listen", "127.0.0.1:0", "--line-to", line_to, "--status", str(directory / "status"))
        self.port = int(self.stub.stdout.readline().rpartition(b":")[2])
        until(lambda: b'"connected"' in (directory / "status").read_bytes(), "the lifeline")
        self.cpu_before = [cpu_s(process.pid) for process in (self.agent, self.stub)]

    def _start(self, directory, *words):
        with (directory / "log").open("ab") as log:
            return subprocess.Popen([PYTHON, "-IS", str(PROGRAM), *words, "--key", str(self.key)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)

    def ended(self):
        """tuple[float, float]: CPU seconds of both since they were connected, and the larger one's memory in bytes."""
        cpu, memory = 0.0, 0
        for process, before in zip((self.agent, self.stub), self.cpu_before):
            _pid, _status, used = os.wait4(process.pid, 0)
            process.returncode = 0
            process.stdout.close()
            cpu += used.ru_utime + used.ru_stime - before
            memory = max(memory, used.ru_maxrss * 1024)
        return cpu, memory


class Measured:
    """Figures by what was measured and by way; each a list, one for each round."""

    def __init__(self, directory):
        self.directory = directory
        self.figures, self.rates = {}, {}

    def add(self, key, way, value):
        self.figures.setdefault(key, {}).setdefault(way, []).append(value)

    def run(self, way, what, *words):
        """list[float]: what the load generator says of one way."""
        before = tunnel_cpu_s()
        said = self._run(way, what, *words)
        if way.startswith("ssh") and what in ("up", "down"):
            self.add(f"tunnel_{what}", way, (tunnel_cpu_s() - before) / words[0] * 1e9)
        return said

    def _run(self, way, what, *words):
        ports = {"direct": SERVER, "relay": RELAYED, "ssh alone": TUNNEL_TO_SERVER, "copies": COPY_HERE}
        if way in ports:
            return asked(what, ports[way], *words)
        both = Lifeline(self.directory, f"unix:{self.directory / ENTRANCE}" if way == "ssh" else f"127.0.0.1:{AGENT}")
        said = asked(what, both.port, *words)
        cpu, memory = both.ended()
        if what in ("up", "down"):
            self.add(f"cpu_{what}", way, cpu / words[0] * 1e9)
        self.add("memory", way, memory / 1e6)
        return said

    def bulk(self, way, key):
        rate = self.rates.get((way, key))
        size = int(rate * BULK_S) if rate else 1 << 26
        took, = self.run(way, key, size, 1)
        if rate:
            self.add(key, way, size / took)
        self.rates[way, key] = size / took

    def echo(self, way, key, size):
        _count, p50, p99 = self.run(way, "echo", size, SMALL_S)
        self.add(f"{key}_p50", way, p50)
        self.add(f"{key}_p99", way, p99)

    def tell(self, ways):
        for key, (title, more, limit) in FIGURES.items():
            for way in ways:
                self._tell_ratio(title, key, way.partition(" ")[0], WAYS[way], more, limit if way == "ssh" else None)
        for key, title, unit in (("cpu_up", "CPU up", "s per GB, both ends"), ("cpu_down", "CPU down", "s per GB, both ends"),
                                 ("tunnel_up", "CPU up", "s per GB, ssh and sshd"), ("tunnel_down", "CPU down", "s per GB, ssh and sshd"),
                                 ("memory", "memory", "MB at most, of the larger end")):
            for way, values in sorted(self.figures.get(key, {}).items()):
                print(f"{title:12} {way:28} {max(values) if key == 'memory' else statistics.median(values):9.2f} {unit}")

    def _tell_ratio(self, title, key, way, base, more, limit):
        ours, theirs = self.figures[key][way], self.figures[key][base]
        ratio = statistics.median(one / other for one, other in zip(ours, theirs))
        unit, scale = ("GB/s", 1e9) if more else ("us", 1)
        kept = "" if limit is None else " (kept)" if (ratio >= limit if more else ratio <= limit) else f" (MISSED, limit {limit})"
        figures = [statistics.median(values) / scale for values in (ours, theirs)]
        print(f"{title:12} {way + ' against ' + base:28} {figures[0]:9.2f} {figures[1]:9.2f} {unit:4}  ratio {ratio:.2f}{kept}")


def measure(directory, ways, rounds):
    measured = Measured(directory)
    chance = random.Random(1)
    names = sorted({one for way in ways for one in (way.partition(" ")[0], WAYS[way])})
    for number in range(rounds + 1):
        for key in ("up", "down"):
            for way in chance.sample(names, len(names)):
                measured.bulk(way, key)
        if number:
            for key, size in (("small", 64), ("large", 65536)):
                for way in chance.sample(names, len(names)):
                    measured.echo(way, key, size)
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; where all are busy, what the lifeline takes is missing elsewhere")
    measured.tell(ways)


def sshd(directory, stack):
    """An sshd of this bench alone, and one connection of ssh through it with both forwards."""
    place = Path(subprocess.run([str(TOP / "tests" / "tools" / "sshd")], stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
    subprocess.run(["mount", "--bind", str(place / "passwd"), "/etc/passwd"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    Path("/run/sshd").mkdir(mode=0o755)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)], check=True)
    shutil.copy(str(directory / "user.pub"), str(directory / "authorized"))
    (directory / "sshd_config").write_text(f"""ListenAddress 127.0.0.1:{SSHD}
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized
StrictModes no
PermitRootLogin yes
UsePAM no
PidFile none
""")
    environment = {**os.environ, "LD_LIBRARY_PATH": (place / "libraries").read_text().strip()}
    started(stack, [str(place / "root/usr/sbin/sshd"), "-D", "-e", "-f", str(directory / "sshd_config")], directory / "sshd.log", environment)
    until(lambda: listens(SSHD), "sshd")
    forwards = ["-L", f"{directory / ENTRANCE}:127.0.0.1:{AGENT}", "-L", f"127.0.0.1:{TUNNEL_TO_SERVER}:127.0.0.1:{SERVER}",
                "-L", f"{directory / COPY_ENTRANCE}:127.0.0.1:{COPY_THERE}"]
    started(stack, ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i", str(directory / "user"),
                    "-p", str(SSHD), *forwards, "root@127.0.0.1", "sleep", "3600"], directory / "ssh.log")
    until(lambda: (directory / COPY_ENTRANCE).exists() and listens(TUNNEL_TO_SERVER), "ssh")
    for port, to in ((COPY_THERE, str(SERVER)), (COPY_HERE, str(directory / COPY_ENTRANCE))):
        started(stack, [str(CACHE / "traffic"), "copy", "127.0.0.1", str(port), to], directory / "copy.log")
    until(lambda: listens(COPY_THERE) and listens(COPY_HERE), "what copies")


def started(stack, command, log, environment=None):
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment)
    stack.callback(process.wait)
    stack.callback(process.kill)


def inside(options):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    ways = [way for way in WAYS if not any(one in way for one in options.without)]
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = traffic("serve", "127.0.0.1", SERVER)
        stack.callback(server.wait)
        stack.callback(server.kill)
        started(stack, [PYTHON, "-IS", str(RELAY), "--listen", f"127.0.0.1:{RELAYED}", "--to", f"127.0.0.1:{SERVER}", "--allow", "127.0.0.0/8", "--no-wait"],
                directory / "relay.log")
        if "ssh" in ways:
            sshd(directory, stack)
        until(lambda: listens(SERVER) and listens(RELAYED), "the relay")
        measure(directory, ways, options.rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--without", action="append", default=[], choices=["ssh"], help="a way to leave out")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options)
        return
    if os.geteuid():
        raise SystemExit("the lifeline's bench needs root: it makes namespaces")
    CACHE.mkdir(parents=True, exist_ok=True)
    if "ssh" not in options.without:
        # It is brought here while there is a network.
        subprocess.run([str(TOP / "tests" / "tools" / "sshd")], stdout=subprocess.DEVNULL, check=True)
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-pthread", "-o", str(CACHE / "traffic"), str(HERE / "traffic.c")], check=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
               sys.executable, __file__, "--inside", *sys.argv[1:]]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            code = process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            code = "the lifeline's bench does not end"
        finally:
            process.kill()
    raise SystemExit(code)


if __name__ == "__main__":
    main()
