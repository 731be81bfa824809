"""What a benchmark found, in one record: tables, plots, findings and warnings. A record prints
itself while it is filled and goes into the raw results; perf/bench/report is made of nothing else.
"""

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

    def unsure(self):
        """Is the peer ahead in some rounds and corespun in others?"""
        return bool(self.peer) and self.low <= 1 <= self.high

    def subject(self):
        return ", ".join(part for part in (self.what, self.at, self.us) if part)

    def target(self):
        of = "× " + self.peer if self.peer else self.unit
        return f"{'≤' if self.lower else '≥'} {self.limit:g} {of}".rstrip()

    def result(self):
        """How the value stands to the limit."""
        word = "met" if self.missed() <= 1 else "missed"
        if not self.limit:
            return word
        part = self.value / self.limit
        if part >= 2:
            return f"{word}, {part:.1f} times it"
        off = f"{100 * abs(part - 1):.1f} %"
        return f"{word}, {off} {'above' if part > 1 else 'below'}" if off != "0.0 %" else word


def percent(factor):
    """By how much a factor is above 1."""
    return f"{factor:.1f} times" if factor >= 2 else f"{100 * (factor - 1):.1f} %"


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

    @classmethod
    def begin(cls, doc, build):
        """An empty record of the script that runs, whose docstring is its text."""
        name = pathlib.Path(sys.argv[0]).name
        title, _, text = doc.strip().partition("\n\n")
        machine = common.machine(build)
        common.print_machine(machine)
        return cls(name, title.replace("\n", " "), text,
                   " ".join(["./dev bench", name, *sys.argv[1:]]),
                   f"{datetime.datetime.now():%Y-%m-%d %H:%M}", common.revision(), machine)

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

    def compare(self, what, ours, theirs, peer, *, at="", us="", unit="", lower=True, limit=None,
                reason=""):
        """Figures of the same rounds of corespun and of a peer. limit: for the ratio."""
        self._find(what, at, us, unit, lower, ours, common.ratios(ours, theirs), limit=limit,
                   peer=peer, theirs=statistics.median(theirs), reason=reason)

    def target(self, what, values, limit, *, at="", us="", unit="", lower=True, reason=""):
        """Figures of all rounds whose median should be at most, or if not lower at least, limit."""
        self._find(what, at, us, unit, lower, values, values, limit=limit, reason=reason)

    def _find(self, what, at, us, unit, lower, ours, values, **others):
        self.findings.append(Finding(what, at, us, unit, lower, statistics.median(ours),
                                     statistics.median(values), min(values), max(values), **others))

    def warn(self, text):
        self.warnings.append(text)

    def save(self, **raw):
        """Prints what is left and keeps all as perf/out/NAME-TIME.json; the folder keeps itself out
        of git."""
        self._print_targets()
        self._print_losses()
        for text in self.warnings:
            print(f"\nwarning: {text}")
        common.OUT.mkdir(exist_ok=True)
        (common.OUT / ".gitignore").write_text("*\n", encoding="utf-8")
        path = common.OUT / f"{self.name}-{datetime.datetime.now():%Y%m%d-%H%M%S}.json"
        path.write_text(json.dumps({"record": dataclasses.asdict(self), **raw}, indent=1),
                        encoding="utf-8")
        print(f"\nraw results: {path.relative_to(common.ROOT)}")

    def _print_targets(self):
        if limited := [finding for finding in self.findings if finding.limit is not None]:
            print(f"\ntargets: {sum(f.missed() <= 1 for f in limited)} of {len(limited)} met")
            common.print_table(
                ["", "target", "median", "min–max", "result"],
                [[f.subject(), f.target(), figure(f.value), f"{figure(f.low)}–{figure(f.high)}",
                  f.result()] for f in limited])

    def _print_losses(self):
        if behind := sorted((f for f in self.findings if f.behind() > 1), key=Finding.behind):
            print("\nbehind")
            common.print_table(
                ["", "corespun", "peer", "its", "ratio", "min–max"],
                [[f.subject(), figure(f.ours), f.peer, figure(f.theirs), figure(f.value),
                  f"{figure(f.low)}–{figure(f.high)}"] for f in reversed(behind)])
