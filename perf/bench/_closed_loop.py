"""Servers that answer as fast as they can, one after the other: the CPU time of a request, beside
that of a floor and of peers. On one core they have a CPU for themselves and the load has another;
on more cores they share them, unless there are enough for both."""

import statistics

import _common as common
import _contestants as contestants
import _cpus
from _record import Record


def cpu_us(run):
    return run["server"]["cpu_us_per_request"]


# What is compared: (what, unit, is less better?, of a run).
QUANTITIES = [
    ("CPU per request", "µs", True, cpu_us),
    ("requests per second", "1/s", False, lambda run: run["requests_per_second"]),
    ("p50", "µs", True, lambda run: run["latency_us"]["p50"]),
    ("p99", "µs", True, lambda run: run["latency_us"]["p99"]),
]


def begin(doc, parser, servers, peers):
    """Adds the options that all such scripts have; returns the options and a record. The options
    have programs, those that were asked for and are here: {name: (program, arguments, driver)}.

    servers: as contestants.programs() takes them; peers: a table of contestants."""
    parser.add_argument("--cores", type=common.numbers, default=[1, 2], metavar="N,…",
                        help="of the server (1,2)")
    names = [*servers, *peers]
    parser.add_argument("--servers", type=common.words, default=names, metavar="NAME,…",
                        help=f"({','.join(names)})")
    options = parser.parse_args()
    if unknown := set(options.servers) - set(names):
        parser.error(f"no server {', '.join(unknown)}; there are {', '.join(names)}")
    common.two_cpus("server and load would disturb each other")
    record = Record.begin(doc, options.build)
    chosen = lambda table: {name: table[name] for name in options.servers if name in table}
    options.programs = contestants.programs(record, options.build, chosen(servers), chosen(peers))
    return options, record


def syscalls(run):
    return run["server_stats"]["syscalls"] / run["requests"]


class Case:
    """Runs of all servers under the same conditions, {server: [run, …]}."""

    def __init__(self, at, title, cores, options, floors, **load):
        """at, title: the conditions, and what need not be said again; floors: {server: its floor};
        load: options of the load generator."""
        self.at, self.title = f"{at}, {common.on_cores(cores)}", title
        self.cores, self.options, self.floors, self.load = cores, options, floors, load
        self.places = _cpus.Places(cores)
        self.runs = {name: [] for name in options.programs}

    def measure(self, name):
        program, arguments, driver = self.options.programs[name]
        command = [program, "--port", 0, "--cores", self.cores, *arguments]
        seconds, stats = self.options.seconds, "--stats" in arguments
        with common.Server(command, driver, self.places.server) as server:
            run = common.load(self.options.build, server, quiet=True, seconds=seconds,
                              warmup=seconds / 4, signal=stats, **self.load,
                              **self.places.options())
            run["server_stats"] = server.stop(window=stats)
        self.runs[name].append(run)

    def column(self, name, value):
        return [value(run) for run in self.runs.get(name, [])]

    def cpu(self, name):
        return self.column(name, cpu_us)

    def row(self, name, single):
        """single: the same case on one core, to compare with."""
        median = lambda value, digits: common.median(self.column(name, value), digits)
        cells = [name, common.median(self.cpu(name), 2), common.spread(self.cpu(name), 2),
                 *(median(value, 0) for *_, value in QUANTITIES[1:]),
                 median(lambda run: run["load_cpu"], 2),
                 median(syscalls, 3) if "syscalls" in self.runs[name][0]["server_stats"] else ""]
        floor = self.floors.get(name)
        ratios = common.ratios(self.cpu(name), self.cpu(floor)) if floor in self.runs else []
        cells += [common.median(ratios, 2), common.spread(ratios, 2)] if ratios else ["", ""]
        return cells + ([common.median(self.scaling(name, single), 2)] if single else [])

    def scaling(self, name, single):
        """Requests per second of CPU time, relative to those on one core in the same round."""
        return common.ratios(single.cpu(name), self.cpu(name))

    def report(self, record, limit, reasons, single):
        """limit(name, other): for the CPU time per request of corespun relative to that of another
        server, on one core; reasons: {server: why it is behind, where that is known}."""
        head = ["", "CPU µs/request", "min–max", "requests/s", "p50 µs", "p99 µs", "load CPU",
                "syscalls/request", "to raw", "min–max"]
        record.table(f"{self.at}, {self.title}; medians of {self.options.rounds} rounds of "
                     f"{self.options.seconds:g} s",
                     head + ["per CPU s, to 1 core"] * bool(single),
                     [self.row(name, single) for name in self.runs])
        for name, other in common.rivals([*self.runs, *record.skipped]):
            for what, unit, lower, value in QUANTITIES:
                main = value is cpu_us
                record.compare(what, self.column(name, value), self.column(other, value), other,
                               us=name, at=self.at, unit=unit, lower=lower, main=main,
                               limit=limit(name, other) if main and not single else None,
                               reason=reasons.get(name, "") if main else "")
        if single:
            for name in common.variants(self.runs):
                record.target("requests per CPU second to those on 1 core",
                              self.scaling(name, single), 0.95, us=name, at=self.at, unit="×",
                              lower=False, reason=self.places.reason())

    def disturbed(self):
        """How many runs. In a closed loop one of the two sides is always busy, or both together
        where they share the CPUs, unless something else has them."""
        return sum(max(self.places.used(run)) < 0.9 for run in self.all_runs())

    def all_runs(self):
        return [run for runs in self.runs.values() for run in runs]


def measure(record, cases, what, limit, reasons):
    """Cases that differ by their number of cores only, each with each server in each round."""
    options = cases[0].options
    for _ in common.rounds(options.rounds, what):
        for name in options.programs:
            for case in cases:
                case.measure(name)
    single = next((case for case in cases if case.cores == 1), None)
    for case in cases:
        case.report(record, limit, reasons, single if case is not single else None)


def curve(record, title, points):
    """CPU time over connections, {connections: case}, where there are several numbers of them."""
    if len(points) > 1:
        names = next(iter(points.values())).runs
        record.lines(title, "connections", "CPU µs per request",
                     {name: {connections: statistics.median(case.cpu(name))
                             for connections, case in points.items()} for name in names}, log="x")


def warn(record, done):
    if disturbed := sum(case.disturbed() for case in done):
        record.warn(f"{disturbed} of {sum(len(case.all_runs()) for case in done)} runs were "
                    "disturbed by other processes: neither server nor load had its CPU for more "
                    "than 90 % of the time")
    _cpus.warn(record, [(case.at, case.places, run) for case in done for run in case.all_runs()])
