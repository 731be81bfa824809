"""Servers under requests that come at a given rate, whether or not the server answers. First each
answers as many as it can, in a closed loop; the rates are shares of the highest that any reached.
"""

import statistics

import _common as common

SHARES = [50, 70, 90]  # percent of the highest rate


class Contestant:
    """A server that takes part, and its runs in a closed loop and in an open one at each share."""

    def __init__(self, name, command, driver=None, cpus=None, **load):
        """load: options of all runs of the load generator."""
        self.name, self.command, self.driver, self.cpus, self.load = name, command, driver, cpus, load
        self.closed = []
        self.open = {share: [] for share in SHARES}

    def run(self, options, **load):
        with common.Server([*self.command, "--port", 0], self.driver, self.cpus) as server:
            run = common.load(options.build, server, quiet=True, connections=options.connections,
                              seconds=options.seconds, warmup=0.5, **self.load, **load)
            server.stop()
        return run

    def most(self):
        return [run["requests_per_second"] for run in self.closed]

    def latency(self, share, quantile, of="latency_us"):
        """In ms."""
        return milliseconds(self.open[share], quantile, of)

    def row(self, share, kinds):
        runs = self.open[share]
        return [self.name, *cells(runs, kinds),
                common.median([run["requests_per_second"] for run in runs], 0), late_percent(runs)]


def milliseconds(runs, quantile, of="latency_us"):
    return [run[of][quantile] / 1e3 for run in runs]


def cells(runs, kinds):
    """p50, p99 and p99.9 of each kind of latency."""
    return [common.median(milliseconds(runs, quantile, of), 2)
            for of in kinds.values() for quantile in ("p50", "p99", "p999")]


def heads(kinds):
    return [f"{kind} {name}".strip() for kind in kinds for name in ("p50", "p99", "p99.9")]


def late_percent(runs):
    return common.median([100 * run["late_sends"] for run in runs], 1)


def measure(contestants, options):
    """Fills in all their runs; returns the highest rate, per second."""
    for _ in common.rounds(options.rounds, "as many as can be"):
        for one in contestants:
            one.closed.append(one.run(options))
    highest = max(statistics.median(one.most()) for one in contestants)
    for share in SHARES:
        for _ in common.rounds(options.rounds, f"{share} %"):
            for one in contestants:
                one.open[share].append(one.run(options, rate=f"{highest * share / 100:.0f}"))
    return highest


def report(record, contestants, options, highest, kinds):
    """kinds: {name: which latency of the load generator}"""
    record.table(f"As many as can be; medians of {options.rounds} rounds of {options.seconds:g} s",
                 ["", "requests/s", "min–max"],
                 [[one.name, common.median(one.most(), 0), common.spread(one.most(), 0)]
                  for one in contestants])
    for share in SHARES:
        record.table(f"{share} % of {highest:,.0f}/s; latency in ms",
                     ["", *heads(kinds), "requests/s", "sent late %"],
                     [one.row(share, kinds) for one in contestants])
    for name, quantile in ("p99", "p99"), ("p99.9", "p999"):
        record.lines(f"Latency, {name}", "% of the highest rate", "ms",
                     {one.name: {share: (statistics.median(values), min(values), max(values))
                                 for share in SHARES for values in [one.latency(share, quantile)]}
                      for one in contestants}, log="y")


def warn(record, runs):
    if (worst := max((100 * run["late_sends"] for run in runs), default=0)) > 2:
        record.warn(f"in one run {worst:.0f} % of the requests were sent more than 1 ms late by the "
                    "load generator itself; latencies count from when they were due, so they are "
                    "too long by that")


def all_open(contestants):
    return [run for one in contestants for runs in one.open.values() for run in runs]


def raw(contestants):
    return {"closed": {one.name: one.closed for one in contestants},
            "open": {one.name: one.open for one in contestants}}
