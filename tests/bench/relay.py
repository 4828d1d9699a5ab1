"""paraview-relay against haproxy, systemd-socket-proxyd, nginx and socat: ratios of one run, medians of interleaved rounds.

All traffic stays in a network namespace of its own, with a PID namespace around it that takes every process along at the end.
Relays run on one processor, both ends of the traffic on the others, so that the relay is what limits.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
PROGRAM = TOP / "roles" / "relay" / "files" / "paraview-relay"
CACHE = TOP / ".cache" / "bench"
ROOT = CACHE / "root"
TOOLS = {"gcc": "gcc", "ip": "iproute2", "/usr/include/stdio.h": "libc6-dev"}
PACKAGES = {"haproxy": ["haproxy"], "nginx": ["nginx", "libnginx-mod-stream"], "socat": ["socat"], "systemd-socket-proxyd": ["systemd"]}
PATHS = [*os.environ["PATH"].split(":"), "/usr/sbin", "/usr/bin", "/lib/systemd"]

HOST, TARGET = "198.18.200.1", ("127.0.0.1", 7000)
OURS, OURS_NO_WAIT = "paraview-relay", "its --no-wait"
SESSIONS = 1000
LONGEST_S = 600
BULK_S, SMALL_S, CONNECT_S = 0.3, 0.2, 0.3

# What is measured: title, target of ours against the best peer, whether more is better
FIGURES = {
    "up": ("bulk up", 0.9, True), "down": ("bulk down", 0.9, True), "eight": ("bulk, 8 connections", 0.9, True),
    "cpu_up": ("CPU per byte up", 1.25, False), "cpu_down": ("CPU per byte down", 1.25, False), "cpu_eight": ("CPU per byte, 8 connections", 1.25, False),
    "small_p50": ("64 B p50", 1.15, False), "small_p99": ("64 B p99", 1.3, False),
    "large_p50": ("64 KiB p50", 1.15, False), "large_p99": ("64 KiB p99", 1.3, False),
    "connects": ("connections per second", None, True), "memory": (f"memory, {SESSIONS} sessions", None, False),
}
MEMORY_LIMIT = 15e6

RELAY_CPUS = sorted(os.sched_getaffinity(0))[:1]
OTHER_CPUS = sorted(os.sched_getaffinity(0))[1:] or RELAY_CPUS


# ---- what it needs


def quietly(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout[-2000:]}")


def program(name):
    """The path of a peer, of this machine or unpacked here."""
    return shutil.which(name, path=":".join(f"{prefix}{path}" for prefix in ("", ROOT) for path in PATHS))


def module():
    """nginx's module, likewise."""
    found = [path for prefix in ("/", ROOT) for path in Path(prefix).glob("usr/lib/nginx/modules/ngx_stream_module.so")]
    return found[0] if found else None


def prepare():
    """Peers are unpacked below .cache: installed, their packages would start services."""
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600"]
    install = [*apt, "install", "-y", "--no-install-recommends"]
    tools = [package for name, package in TOOLS.items() if not shutil.which(name) and not Path(name).is_file()]
    peers = [package for name, packages in PACKAGES.items() if not program(name) or (name == "nginx" and not module()) for package in packages]
    if tools or peers:
        if not shutil.which("apt-get"):
            raise SystemExit(f"Please install: {' '.join(tools + peers)}")
        quietly(*apt, "update")
    if tools:
        quietly(*install, *tools)
    if peers:
        archives = ROOT / "archives"
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        quietly(*install, "--download-only", "-o", f"Dir::Cache::archives={archives}", *peers)
        for package in archives.glob("*.deb"):
            quietly("dpkg", "-x", str(package), str(ROOT))
        shutil.rmtree(archives)
    CACHE.mkdir(parents=True, exist_ok=True)
    quietly("gcc", "-O2", "-Wall", "-Werror", "-pthread", "-o", str(CACHE / "traffic"), str(HERE / "traffic.c"))


# ---- the relays


class Relay:
    """One relay that runs: name, the port it listens on, its process."""

    def __init__(self, name, port, argv, environment=None, **more):
        self.name, self.port = name, port
        with (CACHE / f"{name}.log").open("wb") as log:
            self.process = subprocess.Popen(on(RELAY_CPUS, *argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **(environment or {})}, **more)

    def wait(self):
        end = time.monotonic() + 10
        while True:
            with socket.socket() as sock:
                if sock.connect_ex((HOST, self.port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{self.name} does not start: {(CACHE / f'{self.name}.log').read_text()[-2000:]}")
            time.sleep(0.05)

    def cpu_s(self):
        """Seconds of CPU so far; socat's children count once they have ended."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Bytes: resident, and what children have of their own."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kib = int(re.search(r"^VmRSS:\s+(\d+)", status, re.M).group(1))
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            kib += sum(map(int, re.findall(r"^Private_\w+:\s+(\d+)", Path(f"/proc/{child}/smaps_rollup").read_text(), re.M)))
        return kib * 1024


class Direct:
    """No relay at all: shows that the ends of the traffic are not what limits."""

    name, port = "direct", TARGET[1]


def on(cpus, *command):
    """list[str]: a command that runs on certain processors alone."""
    return ["taskset", "-c", ",".join(map(str, cpus)), *command]


def ours(name, port, *options):
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    return Relay(name, port, [python, "-IS", str(PROGRAM), "--listen", f"{HOST}:{port}", "--to", "{}:{}".format(*TARGET),
                              "--allow", "198.18.0.0/15", "--max-sessions", "4000", "--max-sessions-per-source", "4000", *options])


def haproxy(port):
    config = CACHE / "haproxy.cfg"
    config.write_text(f"""global
    nbthread 1
    maxconn 4000
    tune.pipesize 524288
defaults
    mode tcp
    option splice-request
    option splice-response
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen relay
    bind {HOST}:{port}
    server target {TARGET[0]}:{TARGET[1]}
""")
    return Relay("haproxy", port, [program("haproxy"), "-db", "-f", str(config)], libraries("haproxy"))


def nginx(port):
    config = CACHE / "nginx.conf"
    config.write_text(f"""daemon off;
master_process off;
load_module {module()};
error_log stderr;
pid {CACHE}/nginx.pid;
events {{ worker_connections 8000; }}
stream {{
    proxy_buffer_size 256k;
    tcp_nodelay on;
    server {{
        listen {HOST}:{port} backlog=1024;
        proxy_pass {TARGET[0]}:{TARGET[1]};
    }}
}}
""")
    return Relay("nginx", port, [program("nginx"), "-p", str(CACHE), "-e", "stderr", "-c", str(config)], libraries("nginx"))


def socat(port):
    return Relay("socat", port, [program("socat"), "-b", "262144", f"TCP-LISTEN:{port},bind={HOST},fork,reuseaddr,nodelay,backlog=1024",
                                 f"TCP:{TARGET[0]}:{TARGET[1]},nodelay"], libraries("socat"))


def socket_proxyd(port):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, port))
        sock.listen(1024)
        words = ["sh", "-c", f'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@" 3<&{sock.fileno()}', "sh", program("systemd-socket-proxyd"), "--connections-max=4000"]
        return Relay("systemd-socket-proxyd", port, [*words, "{}:{}".format(*TARGET)], pass_fds=[sock.fileno()])


def libraries(name):
    """What a program that was unpacked here needs to find its own."""
    return {"LD_LIBRARY_PATH": ":".join(map(str, ROOT.glob("usr/lib/*-linux-gnu*")))} if program(name).startswith(str(ROOT)) else {}


# ---- measuring


def traffic(*words, **more):
    return subprocess.Popen(on(OTHER_CPUS, str(CACHE / "traffic"), *map(str, words)), stdout=subprocess.PIPE, text=True, **more)


def asked(relay, what, *words):
    """list[float]: what one run of the load generator says."""
    process = traffic(what, HOST if relay.port != TARGET[1] else TARGET[0], relay.port, *words)
    try:
        said = process.communicate(timeout=30)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise SystemExit(f"{relay.name}: {what} hangs")
    if process.returncode:
        raise SystemExit(f"{relay.name}: {what} failed")
    return [float(word) for word in said.split()]


@contextlib.contextmanager
def undisturbed(*pids):
    """What else runs here waits meanwhile: the slowest of a hundred messages would tell of that alone. What is started now is undisturbed, too."""
    def go(policy, priority):
        for pid in (0, *pids):
            with contextlib.suppress(PermissionError):
                os.sched_setscheduler(pid, policy, os.sched_param(priority))

    go(os.SCHED_RR, 1)
    try:
        yield
    finally:
        go(os.SCHED_OTHER, 0)


class Measured:
    """Figures of every relay, by what was measured; each a list, one for each round."""

    def __init__(self, server):
        self.server = server
        self.figures, self.rates, self.loads = {}, {}, {}

    def add(self, relay, key, value):
        self.figures.setdefault(key, {}).setdefault(relay.name, []).append(value)

    def bulk(self, relay, key, direction, connections):
        rate = self.rates.get((relay.name, key))
        size = int(rate * BULK_S) if rate else 1 << 27
        size -= size % connections
        before = relay.cpu_s() if relay.port != TARGET[1] else 0
        took, = asked(relay, direction, size, connections)
        time.sleep(0.01)
        if rate:
            self.add(relay, key, size / took)
            if relay.port != TARGET[1]:
                used = relay.cpu_s() - before
                self.add(relay, f"cpu_{key}", used / size)
                self.loads.setdefault((relay.name, key), []).append(used / took)
        self.rates[relay.name, key] = size / took

    def small(self, relay, key, size):
        pids = [self.server.pid] + ([] if relay.port == TARGET[1] else [relay.process.pid])
        with undisturbed(*pids):
            _count, p50, p99 = asked(relay, "echo", size, SMALL_S)
        self.add(relay, f"{key}_p50", p50)
        self.add(relay, f"{key}_p99", p99)

    def connects(self, relay):
        self.add(relay, "connects", asked(relay, "connect", CONNECT_S, 8)[0])

    def memory(self, relay):
        with traffic("hold", HOST, relay.port, SESSIONS, stdin=subprocess.PIPE) as holder:
            if holder.stdout.readline() != "open\n":
                raise SystemExit(f"{relay.name}: {SESSIONS} sessions cannot be opened")
            self.add(relay, "memory", relay.memory())
            holder.stdin.close()

    def ratio(self, key, name, peer):
        """Median of the ratios of each round: what slows a whole round down changes none of them."""
        return statistics.median(one / other for one, other in zip(self.figures[key][name], self.figures[key][peer]))


def measure(relays, server, rounds, only):
    """Measured: what comes after what is another each time."""
    def wanted(key):
        return not only or key in only

    def shuffled(items):
        return chance.sample(items, len(items))

    chance = random.Random(1)
    measured, direct = Measured(server), Direct()
    message_relays = relays
    relays = [relay for relay in relays if relay.name != OURS_NO_WAIT]
    for key, direction, connections in (("up", "up", 1), ("down", "down", 1), ("eight", "up", 8)):
        if wanted(key):
            for relay in [*relays, direct]:
                measured.bulk(relay, key, direction, connections)  # warms up, and tells how much takes how long
    for _round in range(rounds):
        for key, direction, connections in (("up", "up", 1), ("down", "down", 1), ("eight", "up", 8)):
            if wanted(key):
                for relay in shuffled([*relays, direct]):
                    measured.bulk(relay, key, direction, connections)
        for key, size in (("small", 64), ("large", 65536)):
            if wanted(key):
                for relay in shuffled([*message_relays, direct]):
                    measured.small(relay, key, size)
        if wanted("connects"):
            for relay in shuffled([*relays, direct]):
                measured.connects(relay)
    if wanted("memory"):
        for relay in relays:
            measured.memory(relay)
    return measured


# ---- telling


def tell(measured, peers):
    columns = [OURS_NO_WAIT, "direct", *peers]
    table = [["x best peer", "ours", "target", "", "no-wait", "direct", *(name.replace("systemd-", "") for name in peers)]]
    for key, (title, target, more) in FIGURES.items():
        if key not in measured.figures:
            continue
        best = (min if more else max)(peers, key=lambda name: measured.ratio(key, OURS, name))
        ratio = measured.ratio(key, OURS, best)
        verdict = "" if target is None else "holds" if (ratio >= target if more else ratio <= target) else "MISSED"
        if key == "memory":
            target, verdict = f"{MEMORY_LIMIT / 1e6:.0f} MB", "holds" if measured.figures[key][OURS][0] <= MEMORY_LIMIT else "MISSED"
        table.append([title, f"{ratio:.2f}", "" if target is None else str(target), verdict,
                      *(f"{measured.ratio(key, name, best):.2f}" if name in measured.figures[key] else "" for name in columns)])
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        print("  ".join(cell.ljust(width) if at in (0, 3) else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths))).rstrip())
    if "memory" in measured.figures:
        print(f"{OURS} with {SESSIONS} sessions: {measured.figures['memory'][OURS][0] / 1e6:.1f} MB resident")
    loads = [statistics.median(found) for (name, _key), found in measured.loads.items() if name == OURS]
    if loads:
        print(f"{OURS} kept its processor busy in bulk: {min(loads):.0%} to {max(loads):.0%} of the time")


def spread(measured):
    for key, by_name in measured.figures.items():
        for name, values in by_name.items():
            middle = statistics.median(values)
            print(f"{key} {name} {middle:.4g}: {' '.join(f'{value / middle:.2f}' for value in values)}")
    for (name, key), values in measured.loads.items():
        print(f"load {key} {name}: {statistics.median(values):.2f}")


def inside(options):
    """Everything from here on happens in namespaces of its own."""
    try:
        Path("/proc/self/autogroup").write_text("-20")  # what else runs here shall change little
    except OSError:
        pass
    for words in ("link set lo up", f"addr add {HOST}/32 dev lo"):
        quietly("ip", *words.split())
    for setting, value in (("ipv4/tcp_congestion_control", "reno"), ("ipv4/ip_local_port_range", "10000 65000"), ("ipv4/tcp_tw_reuse", "1"),
                           ("core/somaxconn", "4096")):
        Path("/proc/sys/net", setting).write_text(value)
    makers = {OURS: lambda port: ours(OURS, port), OURS_NO_WAIT: lambda port: ours(OURS_NO_WAIT, port, "--no-wait"), "haproxy": haproxy,
              "systemd-socket-proxyd": socket_proxyd, "nginx": nginx, "socat": socat}
    peers = [name for name in makers if name not in (OURS, OURS_NO_WAIT) and name not in options.without]
    server = traffic("serve", *TARGET)
    relays = []
    try:
        for number, name in enumerate(name for name in makers if name not in options.without):
            relays.append(makers[name](7100 + number))
        for relay in relays:
            relay.wait()
        time.sleep(0.5)
        measured = measure(relays, server, options.rounds, options.only)
    finally:
        for process in [relay.process for relay in relays] + [server]:
            process.kill()
            process.wait()
    tell(measured, peers)
    if options.spread:
        spread(measured)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", action="append", choices=["up", "down", "eight", "small", "large", "connects", "memory"])
    parser.add_argument("--without", action="append", default=[], help="a peer to leave out")
    parser.add_argument("--spread", action="store_true", help="each round against the median")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options)
        return
    if os.geteuid():
        raise SystemExit("the relay's bench needs root: it makes namespaces")
    prepare()
    # However this ends, the namespaces and all that is in them end too.
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
               sys.executable, __file__, "--inside", *sys.argv[1:]]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            code = process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            code = "the relay's bench does not end"
        finally:
            process.kill()
    raise SystemExit(code)


if __name__ == "__main__":
    main()
