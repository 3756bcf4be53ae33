"""Plots as SVG, without a library: costs against a size, and costs side by side. Axes are logarithmic: equal distances are equal
ratios, on both."""

import math
from xml.sax.saxutils import escape

from contestants import OURS
from figures import short

# Ours are blue and thick, raw system calls black, peers have colours of their own, and what is there for contrast is grey.
COLOURS = {
    "bag": "#0b5fff", "loop": "#5aa0ff", "loop, callbacks": "#5aa0ff", "bag on io_uring": "#0b5fff", "loop on io_uring": "#5aa0ff", "bag on poll": "#0b5fff",
    "bag on select": "#0b5fff", "raw epoll": "#111111", "raw epoll, again": "#111111", "raw io_uring": "#111111", "libev": "#2e9e5b", "libuv": "#c2410c",
    "libevent": "#a16207", "libevent, bufferevent": "#a16207", "Asio": "#b4236a", "Asio, callbacks": "#b4236a", "Asio, coroutines": "#b4236a",
    "threads": "#8a8f98", "Python's selectors": "#8a8f98",
}
DASHED = {"bag on io_uring", "loop on io_uring", "raw io_uring", "Asio, coroutines", "libevent, bufferevent", "Python's selectors"}
DOTTED = {"bag on poll", "bag on select"}
FONT = "font-family='Helvetica, Arial, sans-serif'"


def text(x, y, words, size=12, anchor="start", colour="#333", weight="normal"):
    return (f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' fill='{colour}' "
            f"font-weight='{weight}'>{escape(words)}</text>")


def drawing(width, height, title, subtitle, parts):
    return "\n".join([
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}' {FONT}>",
        f"<title>{escape(title)}</title>", f"<rect width='{width}' height='{height}' fill='white'/>",
        text(16, 26, title, 17, weight="bold", colour="#111"), text(16, 45, subtitle, 12, colour="#555"), *parts, "</svg>", ""])


def ticks(low, high):
    """1, 2, 5 of each power of ten, fewer where these would be many."""
    steps = (1, 2, 5) if high / low < 300 else (1,)
    found = [step * 10.0 ** power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1) for step in steps]
    return [each for each in found if low * 0.999 <= each <= high * 1.001]


class Axis:
    """From values to places, by their logarithms."""

    def __init__(self, values, start, end, margin=1.15):
        self.low, self.high = min(values) / margin, max(values) * margin
        self.start, self.end = start, end

    def __call__(self, value):
        part = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return self.start + part * (self.end - self.start)


def dash(name):
    return " stroke-dasharray='6 3'" if name in DASHED else " stroke-dasharray='2 3'" if name in DOTTED else ""


def spread(places, distance, top, bottom):
    """Moves them apart, in order, until each has its distance, between top and bottom."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    for before, after in zip(order, order[1:]):
        moved[after] = max(moved[after], moved[before] + distance)
    overhang = moved[order[-1]] - bottom if order else 0
    if overhang > 0:
        moved[order[-1]] = bottom
        for after, before in zip(order[::-1], order[::-1][1:]):
            moved[before] = min(moved[before], moved[after] - distance)
    return moved


def panel(left, top, width, height, title, series, x_words, y_words):
    """One plot: {name: [(x, low, middle, high)]}, each line with its name at its end."""
    labels = 132
    xs = [x for points in series.values() for x, *_ in points]
    ys = [y for points in series.values() for _, *three in points for y in three]
    across = Axis(xs, left + 52, left + width - labels, 1.0 if len(set(xs)) > 1 else 1.5)
    up = Axis(ys, top + height - 34, top + 22)
    parts = [text(left + 52, top + 10, title, 12, weight="bold")]
    for y in ticks(up.low, up.high):
        parts += [f"<line x1='{across.start}' x2='{across.end}' y1='{up(y):.1f}' y2='{up(y):.1f}' stroke='#e4e6ea'/>",
                  text(across.start - 6, up(y) + 4, short(y), 11, "end", "#666")]
    for x in sorted(set(xs)):
        parts += [f"<line x1='{across(x):.1f}' x2='{across(x):.1f}' y1='{up.start}' y2='{up.end}' stroke='#f0f1f4'/>",
                  text(across(x), up.start + 16, f"{x:,}", 11, "middle", "#666")]
    parts += [text((across.start + across.end) / 2, up.start + 31, x_words, 11, "middle", "#666"),
              text(across.start - 44, up.end - 6, y_words, 11, "start", "#666")]
    names = list(series)
    ends = spread([up(series[name][-1][2]) for name in names], 12.5, up.end, up.start + 4)
    # Ours are drawn last, and so lie on top.
    for name, end in sorted(zip(names, ends), key=lambda pair: pair[0] in OURS):
        points, colour = series[name], COLOURS[name]
        width_of = 2.6 if name in OURS else 1.6
        line = " ".join(f"{across(x):.1f},{up(middle):.1f}" for x, _, middle, _ in points)
        parts.append(f"<polyline points='{line}' fill='none' stroke='{colour}' stroke-width='{width_of}'{dash(name)}/>")
        for x, low, middle, high in points:
            parts.append(f"<line x1='{across(x):.1f}' x2='{across(x):.1f}' y1='{up(low):.1f}' y2='{up(high):.1f}' stroke='{colour}' "
                         f"stroke-opacity='0.45'/><circle cx='{across(x):.1f}' cy='{up(middle):.1f}' r='2.6' fill='{colour}'/>")
        last = points[-1]
        parts += [f"<line x1='{across(last[0]) + 4:.1f}' x2='{across.end + 10:.1f}' y1='{up(last[2]):.1f}' y2='{end:.1f}' "
                  f"stroke='{colour}' stroke-opacity='0.5'/>",
                  text(across.end + 13, end + 4, name, 11, colour=colour, weight="bold" if name in OURS else "normal")]
    return parts


def lines(title, subtitle, panels, x_words, y_words):
    """Costs against a size, in panels: [(title, {name: [(x, low, middle, high)]})]."""
    width, height, columns = 470, 330, 1 if len(panels) == 1 else 2
    parts = []
    for number, (name, series) in enumerate(panels):
        parts += panel(number % columns * width, 62 + number // columns * height, width, height, name, series, x_words, y_words)
    rows = (len(panels) + columns - 1) // columns
    return drawing(width * columns, 66 + height * rows, title, subtitle, parts)


def dots(title, subtitle, groups, x_words):
    """Costs side by side: [(title, {name: (low, middle, high)})], a row a contestant, the cheapest first."""
    width, label, row = 940, 170, 17
    parts, top = [], 66
    for name, series in groups:
        across = Axis([each for three in series.values() for each in three], label, width - 90, 1.3)
        bottom = top + 22 + row * len(series)
        parts.append(text(16, top + 10, name, 12, weight="bold"))
        for x in ticks(across.low, across.high):
            parts += [f"<line x1='{across(x):.1f}' x2='{across(x):.1f}' y1='{top + 18}' y2='{bottom}' stroke='#e4e6ea'/>",
                      text(across(x), bottom + 13, short(x), 11, "middle", "#666")]
        for number, (who, (low, middle, high)) in enumerate(sorted(series.items(), key=lambda item: item[1][1])):
            y = top + 28 + row * number
            colour = COLOURS[who]
            parts += [text(label - 10, y + 4, who, 11.5, "end", colour, "bold" if who in OURS else "normal"),
                      f"<line x1='{across.start}' x2='{across(low):.1f}' y1='{y}' y2='{y}' stroke='#c9ccd3' stroke-dasharray='1 4'/>",
                      f"<line x1='{across(low):.1f}' x2='{across(high):.1f}' y1='{y}' y2='{y}' stroke='{colour}' stroke-width='1.5'/>",
                      f"<circle cx='{across(middle):.1f}' cy='{y}' r='{4.5 if who in OURS else 3.5}' fill='{colour}'/>",
                      text(max(across(middle), across(high)) + 9, y + 4, short(middle), 11, colour="#333")]
        parts.append(text(width - 16, bottom + 13, x_words, 11, "end", "#666"))
        top = bottom + 30
    return drawing(width, top, title, subtitle, parts)
