"""Servers under requests that come at a given rate, whether or not the server answers. First each
answers as many as it can, in a closed loop; the rates are shares of the highest that any reached.
"""

import statistics

import _common as common
import _cpus
from _record import Record

SHARES = [50, 70, 90]  # percent of the highest rate
MOST = "as many as can be"
RATE = "requests per second"
QUANTILES = {"p50": "p50", "p99": "p99", "p99.9": "p999"}  # {as shown: as perf/load names it}


def at(share):
    return f"{share} % of the highest rate"


def begin(doc):
    """The options that all such scripts have, and a record."""
    parser = common.parser(doc.splitlines()[0], rounds=3, length=2)
    parser.add_argument("--connections", type=common.number, default=1000, help="(1000)")
    parser.add_argument("--arrivals", choices=["poisson", "constant"], default="poisson",
                        help="how requests come at a given rate: as from many independent users, "
                             "or at constant distances (poisson)")
    options = parser.parse_args()
    return options, Record.begin(doc, options.build)


class Contestant:
    """A server that takes part, and its runs, {under which conditions: [that of each round]}."""

    def __init__(self, name, command, driver, places, **load):
        """load: options of all runs of the load generator."""
        self.name, self.command, self.driver, self.places = name, command, driver, places
        self.load = places.options() | load
        self.runs = {}

    def measure(self, conditions, options, rate=None, **load):
        if rate:
            load |= {"rate": f"{rate:.0f}", "arrivals": options.arrivals}
        with common.Server([*self.command, "--port", 0], self.driver, self.places.server) as server:
            run = common.load(options.build, server, quiet=True, connections=options.connections,
                              seconds=options.seconds, warmup=0.5, **self.load, **load)
            server.stop()
        self.runs.setdefault(conditions, []).append(run)

    def column(self, conditions, value):
        return [value(run) for run in self.runs[conditions]]

    def most(self):
        return self.column(MOST, lambda run: run["requests_per_second"])

    def latency(self, conditions, quantile, of="latency_us"):
        """In ms."""
        return self.column(conditions, lambda run: run[of][quantile] / 1e3)

    def quantities(self, kinds):
        """All that is compared, {(what, at): values}."""
        found = {(RATE, MOST): self.most()}
        for conditions in filter(MOST.__ne__, self.runs):
            for kind, of in kinds.items():
                for name, quantile in QUANTILES.items():
                    found[f"{kind} {name}".strip(), conditions] = \
                        self.latency(conditions, quantile, of)
        return found

    def row(self, conditions, kinds):
        median = lambda value, digits: common.median(self.column(conditions, value), digits)
        return [self.name, *(common.median(self.latency(conditions, quantile, of), 2)
                             for of in kinds.values() for quantile in QUANTILES.values()),
                median(lambda run: run["requests_per_second"], 0),
                median(lambda run: run["load_cpu"], 2),
                median(lambda run: 100 * run["late_sends"], 1)]


def measure(record, contestants, options):
    """Fills in all their runs; returns the highest rate, per second."""
    record.keep(seconds=options.seconds, connections=options.connections,
                arrivals=options.arrivals, runs={one.name: one.runs for one in contestants})
    for _ in common.rounds(options.rounds, MOST):
        for one in contestants:
            one.measure(MOST, options)
    highest = max(statistics.median(one.most()) for one in contestants)
    record.keep(highest=highest)
    for share in SHARES:
        for _ in common.rounds(options.rounds, f"{share} %"):
            for one in contestants:
                one.measure(at(share), options, rate=highest * share / 100)
    return highest


def table(record, title, contestants, conditions, kinds):
    heads = [f"{kind} {name}".strip() for kind in kinds for name in QUANTILES]
    record.table(f"{title}; latency in ms",
                 ["", *heads, "requests/s", "load CPU", "sent late %"],
                 [one.row(conditions, kinds) for one in contestants])


def report(record, contestants, options, highest, kinds):
    """kinds: {name: which latency of the load generator}"""
    record.table(f"As many as can be; medians of {options.rounds} rounds of {options.seconds:g} s",
                 ["", "requests/s", "min–max", "load CPU"],
                 [[one.name, common.median(one.most(), 0), common.spread(one.most(), 0),
                   common.median(one.column(MOST, lambda run: run["load_cpu"]), 2)]
                  for one in contestants])
    for share in SHARES:
        table(record, f"{share} % of {highest:,.0f}/s", contestants, at(share), kinds)
    for name in ("p99", "p99.9"):
        record.lines(f"Latency, {name}", "% of the highest rate", "ms",
                     {one.name: {share: (statistics.median(values), min(values), max(values))
                                 for share in SHARES
                                 for values in [one.latency(at(share), QUANTILES[name])]}
                      for one in contestants}, log="y")


def judge(record, contestants, kinds, main, limits):
    """main: the quantities, (what, at), that are drawn; limits: {(what, at, of corespun, peer): for
    the ratio}."""
    found = {one.name: one.quantities(kinds) for one in contestants}
    reasons = {one.name: one.places.reason() for one in contestants}
    for us, peer in common.rivals([*found, *record.skipped]):
        for (what, conditions), ours in found[us].items():
            rate = what == RATE
            record.compare(what, ours, found.get(peer, {}).get((what, conditions)), peer, us=us,
                           at=conditions, unit="1/s" if rate else "ms", lower=not rate,
                           main=(what, conditions) in main,
                           limit=limits.get((what, conditions, us, peer)), reason=reasons[us])


def warn(record, contestants):
    runs = [(conditions, one.places, run) for one in contestants
            for conditions, some in one.runs.items() for run in some]
    _cpus.warn(record, runs)
    if (worst := max(100 * run.get("late_sends", 0) for *_, run in runs)) > 2:
        record.warn(f"in one run {worst:.0f} % of the requests were sent more than 1 ms late by "
                    "the load generator itself; latencies count from when they were due, so they "
                    "are too long by that")
