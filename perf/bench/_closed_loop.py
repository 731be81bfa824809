"""Servers that answer as fast as they can, one after the other: the CPU time of a request, beside
that of a floor and of peers. On one core they have a CPU for themselves and the load has another;
on more cores they share all of them."""

import statistics

import _common as common

SERVER_CPU, LOAD_CPU = 0, 1


def parse(parser, servers, peers):
    """Adds the options that all such scripts have. The result has programs, those that were asked
    for and are there: {name: (program, arguments, driver to force)}.

    servers: {name: (program, arguments, driver)}; peers: {name: (file in build/peers, package)}."""
    parser.add_argument("--cores", type=common.numbers, default=[1, 2], metavar="N,…",
                        help="of the server (1,2)")
    names = [*servers, *peers]
    parser.add_argument("--servers", type=common.words, default=names, metavar="NAME,…",
                        help=f"({','.join(names)})")
    options = parser.parse_args()
    if unknown := set(options.servers) - set(names):
        parser.error(f"no server {', '.join(unknown)}; there are {', '.join(names)}")
    built = common.peers({name: peers[name] for name in options.servers if name in peers})
    options.programs = {}
    for name in options.servers:
        if name in built:
            options.programs[name] = (built[name], [], None)
        elif name in servers:
            path, arguments, driver = servers[name]
            options.programs[name] = (common.program(options.build, path), arguments, driver)
    common.two_cpus("server and load would disturb each other")
    return options


def cpu_us(run):
    return run["server"]["cpu_us_per_request"]


def syscalls(run):
    return run["server_stats"]["syscalls"] / run["requests"]


class Case:
    """Runs of all servers under the same conditions, {server: [run, …]}."""

    def __init__(self, at, title, cores, options, floors, **load):
        """at, title: the conditions, and what need not be said again; floors: {server: its floor};
        load: options of the load generator."""
        self.at, self.title = f"{at}, {common.on_cores(cores)}", title
        self.cores, self.options, self.floors, self.load = cores, options, floors, load
        self.runs = {name: [] for name in options.programs}

    def measure(self, name):
        program, arguments, driver = self.options.programs[name]
        command = [program, "--port", 0, "--cores", self.cores, *arguments]
        place = {"cpu": LOAD_CPU} if self.cores == 1 else {"processes": self.cores}
        seconds, stats = self.options.seconds, "--stats" in arguments
        with common.Server(command, driver, {SERVER_CPU} if self.cores == 1 else None) as server:
            run = common.load(self.options.build, server, quiet=True, seconds=seconds,
                              warmup=seconds / 4, signal=stats, **self.load, **place)
            run["server_stats"] = server.stop(window=stats)
        self.runs[name].append(run)

    def column(self, name, value):
        return [value(run) for run in self.runs[name]]

    def cpu(self, name):
        return self.column(name, cpu_us)

    def row(self, name, single):
        """single: the same case on one core, to compare with."""
        median = lambda value, digits: common.median(self.column(name, value), digits)
        cells = [name, common.median(self.cpu(name), 2), common.spread(self.cpu(name), 2),
                 median(lambda run: run["requests_per_second"], 0),
                 median(lambda run: run["latency_us"]["p50"], 0),
                 median(lambda run: run["latency_us"]["p99"], 0),
                 median(syscalls, 3) if "syscalls" in self.runs[name][0]["server_stats"] else ""]
        floor = self.floors.get(name)
        ratios = common.ratios(self.cpu(name), self.cpu(floor)) if floor in self.runs else []
        cells += [common.median(ratios, 2), common.spread(ratios, 2)] if ratios else ["", ""]
        return cells + ([common.median(self.scaling(name, single), 2)] if single else [])

    def scaling(self, name, single):
        """Requests per second of CPU time, relative to those on one core in the same round."""
        return common.ratios(single.cpu(name), self.cpu(name))

    def report(self, record, pairs, limit, single):
        """pairs: what is compared with what, corespun first; limit(other): for the CPU time per request
        relative to another server's, on one core."""
        head = ["", "CPU µs/request", "min–max", "requests/s", "p50 µs", "p99 µs",
                "syscalls/request", "to raw", "min–max"]
        record.table(f"{self.at}, {self.title}; medians of {self.options.rounds} rounds of "
                     f"{self.options.seconds:g} s",
                     head + ["per CPU s, to 1 core"] * bool(single),
                     [self.row(name, single) for name in self.runs])
        for name, other in pairs:
            if {name, other} <= self.runs.keys():
                record.compare("CPU per request", self.cpu(name), self.cpu(other), other, us=name,
                               at=self.at, unit="µs", limit=limit(other) if not single else None)
        if single:
            for name in filter(self.runs.get, dict(pairs)):
                record.target("requests per CPU second to those on 1 core",
                              self.scaling(name, single), 0.95, us=name, at=self.at, unit="×",
                              lower=False)

    def disturbed(self):
        """How many runs. In a closed loop one of the two sides is always busy, or both together
        where they share the CPUs, unless something else has them."""
        join = max if self.cores == 1 else lambda load, server: (load + server) / self.cores
        return sum(join(run["load_cpu"], run["server"]["cpu"]) < 0.9 for run in self.all_runs())

    def limited(self):
        """Did the load generator use all of its CPU in a run, and the server not?"""
        return any(run["load_cpu"] > 0.95 * self.cores and run["server"]["cpu"] < 0.9 * self.cores
                   for run in self.all_runs())

    def all_runs(self):
        return [run for runs in self.runs.values() for run in runs]


def measure(record, cases, what, pairs, limit):
    """Cases that differ by their number of cores only, each with each server in each round."""
    options = cases[0].options
    for _ in common.rounds(options.rounds, what):
        for name in options.programs:
            for case in cases:
                case.measure(name)
    single = next((case for case in cases if case.cores == 1), None)
    for case in cases:
        case.report(record, pairs, limit, single if case is not single else None)


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
    if limited := [case.at for case in done if case.limited()]:
        record.warn("the load generator was the limit in some runs, where it used more than 95 % "
                    "of its CPU and the server less than 90 %; requests/s is a lower bound there: "
                    + "; ".join(limited))
