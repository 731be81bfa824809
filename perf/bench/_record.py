"""What a benchmark found, in one record: tables, plots, findings and warnings. A record prints
itself while it is filled and goes into the raw results; perf/bench/report is made of nothing else.
"""

import atexit
import dataclasses
import datetime
import json
import math
import pathlib
import statistics
import sys

import _common as common


def figure(value):
    """A number with its two or three digits that count."""
    size = abs(value)
    digits = 0 if size >= 100 or not size else 1 if size >= 10 else 2 if size >= 0.1 \
        else 1 - math.floor(math.log10(size))
    return f"{value:,.{digits}f}"


UNDECIDED = "undecided"
LOSSES = 12  # so many are printed


@dataclasses.dataclass
class Finding:
    """A figure of corespun that is judged: beside that of a peer, by a limit, or by both. Beside a
    peer, the ratio of runs in the same round is what counts, and what the limit is for."""

    what: str
    at: str  # under which conditions
    us: str  # what of corespun
    unit: str
    lower: bool  # is better
    ours: float
    value: float  # the ratio, or ours if there is no peer; a median, as all
    low: float
    high: float  # the least and the greatest value of a round
    peer: str = ""
    theirs: float = 0
    limit: float | None = None
    reason: str = ""  # why it is so, where that is known
    main: bool = True  # of the benchmark; it is drawn

    def _worse(self, than):
        worse, better = (self.value, than) if self.lower else (than, self.value)
        return worse / better if better else math.inf if worse else 0

    def behind(self):
        """How many times worse than the peer; below 1 if better."""
        return self._worse(1) if self.peer else 0

    def missed(self):
        """How many times worse than the limit; at most 1 if that is met."""
        return 0 if self.limit is None else self._worse(self.limit)

    def loss(self):
        return max(self.behind(), self.missed())

    def _decide(self, limit, good, bad):
        """good or bad if all rounds say so."""
        best, worst = (self.low, self.high) if self.lower else (-self.high, -self.low)
        limit = limit if self.lower else -limit
        return good if worst <= limit else bad if best > limit else UNDECIDED

    def standing(self):
        """To the peer."""
        return self._decide(1, "ahead", "behind")

    def verdict(self):
        """On the limit."""
        return self._decide(self.limit, "met", "missed")

    def subject(self):
        return ", ".join(part for part in (self.what, self.at, self.us) if part)

    def target(self):
        return target(self.limit, self.lower, self.peer, self.unit)

    def span(self):
        return f"{figure(self.low)}–{figure(self.high)}"

    def result(self):
        """How the value stands to the limit."""
        if not self.limit:
            return self.verdict()
        part = self.value / self.limit
        if part >= 2:
            return f"{self.verdict()}, {part:.1f} times it"
        off = f"{100 * abs(part - 1):.1f} %"
        return f"{self.verdict()}, {off} {'above' if part > 1 else 'below'}" if off != "0.0 %" \
            else self.verdict()


def target(limit, lower, peer, unit):
    of = "× " + peer if peer else unit
    return f"{'≤' if lower else '≥'} {limit:g} {of}".rstrip()


def tally(words):
    """As in "3 met, 1 undecided"."""
    return ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))


def percent(factor):
    """By how much a factor is above 1."""
    return f"{figure(factor)} times" if factor >= 2 else f"{100 * (factor - 1):.1f} %"


@dataclasses.dataclass
class Record:
    name: str
    title: str
    text: str
    command: str
    date: str
    revision: str
    machine: dict
    tables: list = dataclasses.field(default_factory=list)
    plots: list = dataclasses.field(default_factory=list)
    findings: list = dataclasses.field(default_factory=list)
    warnings: list = dataclasses.field(default_factory=list)
    contestants: dict = dataclasses.field(default_factory=dict)  # {name: [package, build, setup]}
    skipped: dict = dataclasses.field(default_factory=dict)  # {name: how to get it}
    unjudged: list = dataclasses.field(default_factory=list)  # [(subject, target, peer not here)]
    error: str = ""  # that ended the benchmark

    def __post_init__(self):
        self.raw = {}  # kept beside the record

    @classmethod
    def begin(cls, doc, build):
        """An empty record of the script that runs, whose docstring is its text. If that fails, what
        is there until then is saved with the error."""
        name = pathlib.Path(sys.argv[0]).name
        title, _, text = doc.strip().partition("\n\n")
        machine = common.machine(build)
        common.print_machine(machine)
        record = cls(name, title.replace("\n", " "), text,
                     " ".join(["./dev bench", name, *sys.argv[1:]]),
                     f"{datetime.datetime.now():%Y-%m-%d %H:%M}", common.revision(), machine)
        atexit.register(record._save_failed)
        return record

    @classmethod
    def read(cls, path):
        """The record of a file of raw results; None if it has none that is understood."""
        try:
            record = cls(**json.loads(path.read_text(encoding="utf-8"))["record"])
            record.findings = [Finding(**finding) for finding in record.findings]
            return record
        except (KeyError, TypeError, ValueError):
            return None

    def table(self, title, head, rows):
        """The first column is text, the others are figures."""
        rows = [[str(cell) for cell in row] for row in rows]
        self.tables.append({"title": title, "head": head, "rows": rows})
        print(f"\n{title}")
        common.print_table(head, rows)

    def bars(self, title, axis, series, log=False, base=None):
        """series: {name: {label: value or (value, low, high)}}; base: where the bars begin."""
        self._plot("bars", title, axis, "", series, log, base)

    def lines(self, title, x, y, series, log=""):
        """series: {name: {x: y or (y, low, high)}}; log: which axes are logarithmic, as in "xy"."""
        self._plot("lines", title, x, y, series, log, None)

    def _plot(self, kind, title, x, y, series, log, base):
        points = {name: [[at, *(value if isinstance(value, tuple) else (value,))]
                         for at, value in values.items()] for name, values in series.items()}
        self.plots.append({"kind": kind, "title": title, "x": x, "y": y, "series": points,
                           "log": log, "base": base})

    def contestant(self, name, package, build, setup):
        """package: and its version; build: how it was built."""
        self.contestants[name] = [package, build, setup]

    def skip(self, peer, how):
        """A peer that is not here; how: what it needs."""
        self.skipped[peer] = how
        print(f"{peer} is skipped: {how}", file=sys.stderr)

    def compare(self, what, ours, theirs, peer, *, at="", us="", unit="", lower=True, limit=None,
                **others):
        """Figures of the same rounds of corespun and of a peer; of a skipped one there are none.
        limit: for the ratio."""
        if theirs:
            self._find(what, at, us, unit, lower, ours, common.ratios(ours, theirs), limit=limit,
                       peer=peer, theirs=statistics.median(theirs), **others)
        elif limit is not None and peer in self.skipped:
            subject = ", ".join(filter(None, (what, at, us)))
            self.unjudged.append([subject, target(limit, lower, peer, unit), peer])

    def target(self, what, values, limit, *, at="", us="", unit="", lower=True, reason=""):
        """Figures of all rounds whose median should be at most, or if not lower at least, limit."""
        self._find(what, at, us, unit, lower, values, values, limit=limit, reason=reason)

    def _find(self, what, at, us, unit, lower, ours, values, **others):
        self.findings.append(Finding(what, at, us, unit, lower, statistics.median(ours),
                                     statistics.median(values), min(values), max(values), **others))

    def warn(self, text):
        self.warnings.append(text)

    def keep(self, **raw):
        """Raw results, which may still grow."""
        self.raw |= raw

    def save(self, **raw):
        """Prints what is left and keeps all as perf/out/NAME-TIME.json; the folder keeps itself out
        of git."""
        atexit.unregister(self._save_failed)
        self.keep(**raw)
        self._print_targets()
        self._print_losses()
        for text in self.warnings:
            print(f"\nwarning: {text}")
        common.OUT.mkdir(exist_ok=True)
        (common.OUT / ".gitignore").write_text("*\n", encoding="utf-8")
        path = common.OUT / f"{self.name}-{datetime.datetime.now():%Y%m%d-%H%M%S}.json"
        path.write_text(json.dumps({"record": dataclasses.asdict(self), **self.raw}, indent=1),
                        encoding="utf-8")
        print(f"\nraw results: {path.relative_to(common.ROOT)}")

    def _save_failed(self):
        """At the end of a script that has not saved; one that was interrupted has not failed."""
        exception = getattr(sys, "last_value", None)
        if not isinstance(exception, KeyboardInterrupt):
            self.error = common.failure or repr(exception or "ended without results")
            self.save()

    def targets(self):
        return [finding for finding in self.findings if finding.limit is not None]

    def verdicts(self):
        return tally([finding.verdict() for finding in self.targets()]
                     + ["not judged"] * len(self.unjudged))

    def standings(self):
        return tally([finding.standing() for finding in self.findings if finding.peer])

    def losses(self):
        """What is behind a peer or misses a target by its median: a list for each figure of
        corespun, with all peers that are ahead, the worst first."""
        groups = {}
        for finding in sorted(self.findings, key=Finding.loss, reverse=True):
            if finding.loss() > 1:
                groups.setdefault(finding.subject(), []).append(finding)
        return list(groups.values())

    def _print_targets(self):
        if not self.targets() and not self.unjudged:
            return
        print(f"\ntargets: {self.verdicts()}")
        common.print_table(
            ["", "target", "median", "min–max", "result"],
            [[f.subject(), f.target(), figure(f.value), f.span(), f.result()]
             for f in self.targets()]
            + [[subject, of, "", "", f"not judged: {peer} is not here"]
               for subject, of, peer in self.unjudged])

    def _print_losses(self):
        """The worst; the report has them all."""
        behind = [group for group in self.losses() if any(f.peer for f in group)]
        if not behind:
            return
        print(f"\nbeside the peers: {self.standings()}")
        shown = behind[:LOSSES]
        common.print_table(
            ["behind in", "corespun", "ratio to"],
            [[group[0].subject(), f"{figure(group[0].ours)} {group[0].unit}",
              ", ".join(f"{f.peer} {figure(f.value)}" for f in group if f.peer)]
             for group in shown])
        if len(shown) < len(behind):
            print(f"and {len(behind) - len(shown)} more, in the report")
