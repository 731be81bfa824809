"""What the bench scripts share: servers, the load generator, programs that print figures, the
machine, tables. What they find goes into a record (_record.py)."""

import argparse
import json
import os
import pathlib
import platform
import re
import resource
import select
import signal
import statistics
import subprocess
import sys
import time

import _cpus

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "perf" / "out"

failure = ""  # what fail() has said


def fail(what, why, now):
    global failure
    failure = f"{what}; why: {why}; now: {now}"
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {what}\n  why: {why}\n  now: {now}")


def number(text):
    """At least 1."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1")
    return int(text)


def seconds(text):
    try:
        if 0 < float(text) < 3600:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds, above 0 and below 3600")


def words(text):
    return text.split(",")


def numbers(text):
    return [number(word) for word in words(text)]


def parser(description, *, rounds=5, length=None):
    """An ArgumentParser with the options that all scripts have. length: seconds that a run takes
    by default."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release",
                        help="folder of the build to measure (build/release)")
    if rounds:
        result.add_argument("--rounds", type=number, default=rounds, help=f"({rounds})")
    if length:
        result.add_argument("--seconds", type=seconds, default=length,
                            help=f"measured in each run ({length:g})")
    return result


def load_parser(description, **defaults):
    """The same with the options of all scripts that use the load generator."""
    result = parser(description, **defaults)
    result.add_argument("--size", type=number, default=64, help="bytes of a message (64)")
    result.add_argument("--pipeline", type=number, default=1, help="messages under way on each (1)")
    return result


def program(build, path):
    """The path of a built program."""
    found = build / path
    if not found.is_file():
        fail(f"there is no {found}", "it has not been built", "./dev build release")
    return found


class Disturbance:
    """Notices when others used the CPUs: watch() measures, report() tells."""

    runs = disturbed = 0

    @staticmethod
    def _busy_by_others():
        user, nice, system = map(int, read("/proc/stat").split()[1:4])
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        ticks = os.sysconf("SC_CLK_TCK")
        return (user + nice + system) / ticks - children.ru_utime - children.ru_stime

    @classmethod
    def watch(cls, run):
        start, busy = time.monotonic(), cls._busy_by_others()
        result = run()
        others = cls._busy_by_others() - busy
        cls.runs += 1
        cls.disturbed += others > 0.05 + 0.1 * (time.monotonic() - start)
        return result

    @classmethod
    def report(cls, record):
        if cls.disturbed:
            record.warn(f"{cls.disturbed} of {cls.runs} runs were disturbed: other processes used "
                        "more than 10 % of a CPU meanwhile")


def figures(command, cores):
    """Runs a program that prints figures as JSON, on the first CPUs only; returns its output."""
    command = [str(word) for word in command]
    cpus = _cpus.ordered()[:cores]
    done = Disturbance.watch(lambda: subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus)))
    if done.returncode != 0:
        fail(f"{command[0]} ended with status {done.returncode}", "see its messages above",
             f"run it by hand: {' '.join(command)}")
    return done.stdout


def cpus():
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def core_counts(wanted):
    """Those of the wanted numbers of cores that this machine has."""
    there = cpus()
    if missing := [cores for cores in wanted if cores > there]:
        print(f"skipped: {missing} cores, since only {there} are here", file=sys.stderr)
    return [cores for cores in wanted if cores <= there]


def on_cores(cores):
    return f"{cores} core{'s' if cores > 1 else ''}"


def rounds(count, what):
    """Counts them, and says on stderr where the script is."""
    for number in range(1, count + 1):
        name = pathlib.Path(sys.argv[0]).name
        print(": ".join(filter(None, [name, what, f"round {number} of {count}"])), file=sys.stderr)
        yield number


def two_cpus(why):
    if cpus() < 2:
        fail("there is one CPU only", why, "measure on a machine with two or more")


def median(values, digits):
    return f"{statistics.median(values):,.{digits}f}"


def spread(values, digits):
    return f"{min(values):,.{digits}f}–{max(values):,.{digits}f}"


def ratios(values, base):
    """Of runs in the same round."""
    return [value / other for value, other in zip(values, base)]


def variants(names):
    """Those of corespun."""
    return [name for name in names if name.startswith("corespun")]


def rivals(names):
    """Each variant of corespun with each of the others."""
    ours = variants(names)
    return [(name, other) for name in ours for other in names if other not in ours]


def difference(after, before):
    """Of counters in objects and lists; what is no number stays."""
    if isinstance(after, dict):
        return {name: difference(after[name], before[name]) for name in after}
    if isinstance(after, list):
        return [difference(*pair) for pair in zip(after, before)]
    return after - before if isinstance(after, (int, float)) else after


class Server:
    """A server process that prints `listening on ADDRESS:PORT (DRIVER, N cores)` and ends at
    SIGTERM, printing a line of JSON. As a context manager it is killed if it is still there."""

    START_S = 10
    STOP_S = 15

    def __init__(self, command, driver=None, cpus=None):
        """driver: which one it must use; cpus: where it may run."""
        self.command = [str(word) for word in command]
        environment = dict(os.environ, **({"CORESPUN_DRIVER": driver} if driver else {}))
        pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True,
                                        env=environment, preexec_fn=pin)
        self.pid = self.process.pid
        try:
            self._read_first_line(driver)
        except BaseException:
            self.kill()
            raise

    def _read_first_line(self, driver):
        ready, _, _ = select.select([self.process.stdout], [], [], self.START_S)
        line = self.process.stdout.readline() if ready else ""
        match = re.match(r"listening on (\S+):(\d+) \((\w+), (\d+) cores?\)", line)
        if not match:
            fail(f"{self.command[0]} did not start",
                 f"its first line within {self.START_S} s was {line!r}",
                 f"run it by hand: {' '.join(self.command)}")
        self.address, self.port = match[1], int(match[2])
        self.driver, self.cores = match[3], int(match[4])
        if driver and self.driver != driver:
            fail(f"{self.command[0]} runs on {self.driver}, not on {driver}",
                 "the driver may be forbidden here", "see its messages above")

    def _read_lines(self, count):
        """Waits for them; the next ones come only later."""
        text = ""
        while text.count("\n") < count:
            ready, _, _ = select.select([self.process.stdout], [], [], self.STOP_S)
            more = os.read(self.process.stdout.fileno(), 4096).decode() if ready else ""
            if not more:
                fail(f"{self.command[0]} did not tell its figures at both ends of the window",
                     f"its output was {text!r}", "send it SIGUSR1 by hand")
            text += more
        return text

    def stop(self, window=False):
        """Asks it to end; returns the figures it prints. window: those of the load's window, of
        which it was told by signals. Fails if it does not end by itself."""
        told = self._read_lines(2) if window else ""
        self.process.send_signal(signal.SIGTERM)
        try:
            output, _ = self.process.communicate(timeout=self.STOP_S)
        except subprocess.TimeoutExpired:
            fail(f"{self.command[0]} did not end within {self.STOP_S} s after SIGTERM",
                 "tasks or connections may hang", "attach a debugger before that, or read its log")
        if self.process.returncode != 0:
            fail(f"{self.command[0]} ended with status {self.process.returncode}",
                 "see its messages above", f"run it by hand: {' '.join(self.command)}")
        try:
            last = json.loads(output.strip().splitlines()[-1])
            if not window:
                return last
            begin, end = map(json.loads, told.splitlines())
            return difference(end, begin)
        except (IndexError, ValueError):
            fail(f"{self.command[0]} printed no figures at its end", f"its output was {output!r}",
                 "check its --stats")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def load(build, server, *, quiet=False, signal=False, **options):
    """Runs the load generator against the server; returns its JSON object (perf/load/report.cpp).
    signal: ask the server for its figures at both ends of the window."""
    host = "127.0.0.1" if server.address == "0.0.0.0" else server.address
    options = {"host": host, "port": server.port, "server-pid": server.pid,
               **{name.replace("_", "-"): value for name, value in options.items()}}
    command = [str(program(build, "perf/load")), "--json"] + ["--signal-server"] * signal
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    errors = subprocess.PIPE if quiet else None
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, check=False)
    if done.returncode != 0:
        fail("the load generator saw errors", (done.stderr or "see above").strip(),
             f"run it by hand: {' '.join(command)}")
    return json.loads(done.stdout)


def read(path):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def output(command):
    """Of a program that tells about itself; nothing if it is not there or fails."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def revision():
    """That of the sources, and whether they differ from it."""
    commit = output(["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"])
    changed = output(["git", "-C", ROOT, "status", "--porcelain"])
    return (commit or "unknown") + (" with changes" if changed else "")


def mitigations():
    """Of what the processor is vulnerable to, {name: what the kernel does}."""
    files = sorted(pathlib.Path("/sys/devices/system/cpu/vulnerabilities").glob("*"))
    texts = {file.name: read(file) for file in files}
    return {name: text for name, text in texts.items() if text and text != "Not affected"}


def machine(build):
    """What a figure must be read with: processor, kernel, compiler."""
    model = re.search(r"model name\s*: (.*)", read("/proc/cpuinfo"))
    cache = read(build / "CMakeCache.txt")

    def cached(name):
        match = re.search(rf"^{name}:\w+=(.+)$", cache, re.MULTILINE)
        return match[1] if match else ""

    build_type = cached("CMAKE_BUILD_TYPE")
    version = output([cached("CMAKE_CXX_COMPILER"), "--version"]).splitlines()
    flags = [cached("CMAKE_CXX_FLAGS"), cached(f"CMAKE_CXX_FLAGS_{build_type.upper()}")]
    return {"processor": model[1] if model else platform.processor(), "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "congestion_control": read("/proc/sys/net/ipv4/tcp_congestion_control"),
            "compiler": version[0] if version else "unknown",
            "flags": " ".join(filter(None, flags)), "build_type": build_type or "unknown",
            "mitigations": mitigations()}


def print_machine(m):
    print(f"{m['processor']}, {m['cpus']} CPUs; Linux {m['kernel']}, {m['congestion_control']}; "
          f"{m['compiler']}, {m['build_type']}")


def print_table(head, rows):
    """Columns as wide as their longest cell; the first one is flush left, the others right."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for row in cells:
        first, *others = zip(row, widths)
        aligned = [first[0].ljust(first[1])] + [cell.rjust(w) for cell, w in others]
        print("  ".join(aligned).rstrip())
