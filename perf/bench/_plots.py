"""Plots of records as SVG, drawn by gnuplot. Their colours are variables of the page's style sheet,
--series-1 and so on and --grid, so that they are right in light and dark."""

import math
import re
import shutil
import subprocess

import _common as common
from _record import figure

WIDTH = 620
ROW, AXIS = 16, 56  # height of a bar and of what is below all of them


def possible():
    return shutil.which("gnuplot") is not None


def svg(plot, colours):
    """colours: {series: number}"""
    draw = {"bars": bars, "lines": lines}[plot["kind"]]
    height, commands = draw(plot, colours)
    script = [f'set terminal svg size {WIDTH},{height} dynamic noenhanced '
              'font "sans-serif,12"',
              'set encoding utf8', "unset key", "set border 0", "set tics scale 0",
              *commands]
    done = subprocess.run(["gnuplot"], input="\n".join(script), stdout=subprocess.PIPE,
                          text=True, check=False)
    if done.returncode != 0:
        common.fail(f"gnuplot cannot draw {plot['title']!r}", "see its messages above",
                    "look at the plots in the raw results")
    return themed(done.stdout)


def themed(text):
    """As it may stand in a page: without the prologue, and without colours and fonts of its own."""
    for pattern, by in [(r"^.*?(?=<svg)", ""), (r"<desc>.*?</desc>", ""),
                        (r"<title>gnuplot</title>", ""), (r"<filter.*?</filter>", ""),
                        (r'(?<= )color="\w+"', ""), (r' font-family="[^"]*"', ""),
                        (r"\bblack\b", "currentColor"),
                        (r"rgb\(190, *190, *190\)", "var(--grid)"),  # gray
                        (r"rgb\( *0, *0, *(\d+)\)", r"var(--series-\1)")]:
        text = re.sub(pattern, by, text, flags=re.DOTALL)
    return text


def quoted(text):
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def block(name, rows):
    """Data of gnuplot."""
    return [f"${name} << END", *(" ".join(map(str, row)) for row in rows), "END"]


def bounds(point):
    """The least and greatest value of [at, value] or [at, value, low, high]."""
    return (point[2], point[3]) if len(point) > 2 else (point[1], point[1])


def ticks(low, high, log):
    """Some six round values of an axis."""
    if not log or high / low < 8:
        step = 10 ** math.floor(math.log10(high - low))
        step *= next(times for times in (0.1, 0.2, 0.5, 1, 2) if (high - low) / (step * times) < 8)
        return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if len(decades) > 4 else (1, 3) if len(decades) > 3 else (1, 2, 5)
    return [times * 10 ** decade for decade in decades for times in factors
            if low <= times * 10 ** decade <= high]


def axis(letter, log, low, high):
    marks = ", ".join(f"{quoted(f'{tick:,.10g}')} {tick}" for tick in ticks(low, high, log))
    return [f"set {letter}range [{low}:{high}]", f"set grid {letter} lt 1 lc rgb 'gray'",
            f"set {letter}tics ({marks})"] + [f"set logscale {letter}"] * bool(log)


def extent(values, log, base=None):
    """The range of an axis that shows them all, with room at its end."""
    values = [value for value in values if value > 0 or not log] + ([base] if base else [])
    least, most = min(values), max(values)
    if not log:
        return min(0, least), most * 1.1 or 1
    room = max((most / least) ** 0.08, 1.02)
    return least / (room if base else 1.5), most * room * room


def bars(plot, colours):
    """Horizontal ones; those of the same label stand together."""
    series = plot["series"]
    labels = list(dict.fromkeys(point[0] for points in series.values() for point in points))
    values = [bound for points in series.values() for point in points for bound in bounds(point)]
    low, high = extent(values, plot["log"], plot["base"])
    base = plot["base"] or low
    grouped = sum(map(len, series.values())) > len(labels)
    rows, marks, y = {name: [] for name in series}, [], 0
    for label in labels:
        top = y
        for name, points in series.items():
            for point in (point for point in points if point[0] == label):
                least, most = bounds(point)
                rows[name].append([point[1], y, *sorted([base, point[1]]), y - 0.42, y + 0.42,
                                   max(least, low), most, quoted(figure(point[1]))])
                y -= 1
        marks.append(f"{quoted(label)} {(top + y + 1) / 2}")
        y -= 0.5 if grouped else 0
    commands = [line for index, name in enumerate(series)
                for line in block(f"s{index}", rows[name])]
    commands += axis("x", plot["log"], low, high)
    commands += [f"set yrange [{y + 0.4}:0.6]", f"set ytics ({', '.join(marks)})",
                 f"set xlabel {quoted(plot['x'])}", "set style fill solid noborder",
                 "set errorbars 0", "set tmargin 0.3", "set bmargin 3"]
    if plot["base"]:
        commands.append(f"set arrow from {base}, graph 0 to {base}, graph 1 nohead lc rgb 'black'")
    drawn = []
    for index, name in enumerate(series):
        end = "(($8 > $4) ? $8 : $4)"  # of the bar or of its range
        drawn += [f"$s{index} using 1:2:3:4:5:6 with boxxyerror lc rgb '#{colours[name]:06x}' "
                  f"title {quoted(name)}",
                  f"$s{index} using 1:2:7:8 with xerrorbars pt 0 ps 0 lc rgb 'black' notitle",
                  f"$s{index} using {end}:2:9 with labels left offset 0.4,0 notitle"]
    return round(AXIS - ROW * y), commands + ["plot " + ", ".join(drawn)]


def lines(plot, colours):
    series = plot["series"]
    log = plot["log"] or ""
    commands = [line for index, points in enumerate(series.values())
                for line in block(f"s{index}", ([*point[:2], *bounds(point)] for point in points))]
    points = [point for all_points in series.values() for point in all_points]
    across = [point[0] for point in points]
    commands += axis("x", "x" in log, *((min(across) / 1.1, max(across) * 1.1) if "x" in log
                                         else extent(across, False)))
    commands += axis("y", "y" in log, *extent([b for point in points for b in bounds(point)],
                                              "y" in log))
    commands += [f"set xlabel {quoted(plot['x'])}", f"set ylabel {quoted(plot['y'])}",
                 "set errorbars 0.5",
                 "set pointintervalbox 0"]
    drawn = []
    for index, name in enumerate(series):
        look = f"pt 7 ps 0.5 lc rgb '#{colours[name]:06x}'"
        drawn.append(f"$s{index} using 1:2 with linespoints lw 2 {look} title {quoted(name)}")
        if any(len(point) > 2 for point in series[name]):
            drawn.append(f"$s{index} using 1:2:3:4 with yerrorbars {look} notitle")
    return 320, commands + ["plot " + ", ".join(drawn)]
