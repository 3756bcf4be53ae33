#!/usr/bin/env python3
"""Makes of a run of the house what people read: the pictures in docs/pictures, and the part of docs/performance.md between
its two marks.

    page.py RESULT.json         (make bench-full does so)
"""

import json
import pathlib
import sys

from contestants import BASE, OURS, PEERS
from figures import NEGLIGIBLE, Ratio, median, quantile, ranked, short
from pictures import dots, lines
from programs import HERE
from workloads import CELLS

DOCS = HERE.parent.parent / "docs"
BEGIN, END = "<!-- Written by bench/loops/page.py: from here -->", "<!-- to here -->"
WORKLOADS = {each.workload.name: each.workload for each in CELLS}


class Result:
    def __init__(self, told):
        self.machine, self.full, self.rounds = told["machine"], told["full"], told["rounds"]
        self.cells = told["cells"]

    def of(self, workload):
        return [each for each in self.cells if each["workload"] == workload]


def three(samples):
    return quantile(samples, 0.25), median(samples), quantile(samples, 0.75)


def positive(points):
    return all(value > 0 for value in points)


def drawn(title, subtitle, cells, panels, x_words):
    """Lines where there are sizes to go along; else, as after a short run, the cells side by side."""
    if all(len({x for points in series.values() for x, *_ in points}) > 1 for _, series in panels):
        return lines(title, f"{subtitle} Less is better.", panels, x_words, "ns")
    return dots(title, f"{subtitle} Less is better.", [(cell["title"] + ", ns", side_by_side(cell, "cpu_ns")) for cell in cells], "")


def over_sizes(cells, x_of, figure):
    """{name: [(x, low, middle, high)]}, in the order of x."""
    series = {}
    for cell in sorted(cells, key=x_of):
        for name, samples in cell["samples"].items():
            series.setdefault(name, []).append((x_of(cell), *three(samples[figure])))
    return series


def side_by_side(cell, figure):
    found = {name: three(samples[figure]) for name, samples in cell["samples"].items() if figure in samples}
    return {name: points for name, points in found.items() if positive(points)}


def ring_picture(cells):
    def active(cell):
        many = cell["options"]["active"]
        return "one token" if many == 1 else "100 tokens" if many == 100 else "a token in every pair"
    # 100 of 100 pairs is both of the last two.
    groups = {title: [cell for cell in cells if active(cell) == title] for title in ("one token", "100 tokens", "a token in every pair")}
    groups["a token in every pair"] += [cell for cell in cells if cell["options"]["active"] == cell["options"]["count"] == 100]
    panels = [(title, over_sizes(those, lambda cell: cell["options"]["count"], "cpu_ns")) for title, those in groups.items() if those]
    return drawn("ring: what one event costs", "CPU of reading a token and passing it on, against the socket pairs that are watched.",
                 cells, panels, "socket pairs")


def echo_picture(cells):
    def kind(cell):
        options = cell["options"]
        return f"{options['size']:,} bytes, {options['in_flight']} in flight"
    panels = [(title, over_sizes([cell for cell in cells if kind(cell) == title], lambda cell: cell["options"]["connections"], "cpu_ns"))
              for title in dict.fromkeys(map(kind, cells))]
    return drawn("echo: what a message costs the server", "CPU of the server, seen from outside, against its connections.",
                 cells, panels, "connections")


def idle_picture(cells):
    return drawn("idle: what silent connections cost", "CPU of the server a message of one connection, against those that are silent.",
                 cells, [("", over_sizes(cells, lambda cell: cell["options"]["idle"], "cpu_ns"))], "silent connections")


def dots_picture(title, subtitle):
    def made(cells):
        cell = cells[-1]
        groups = [(figure.heading, side_by_side(cell, figure.name))
                  for figure in WORKLOADS[cell["workload"]].figures if figure.ranks]
        return dots(title, f"{subtitle} ({cell['title']}). Less is better.", [each for each in groups if each[1]], "")
    return made


PICTURES = {
    "ring": ring_picture, "echo": echo_picture, "idle": idle_picture,
    "churn": dots_picture("churn: what a connection costs the server", "Connect, one message there and back, close"),
    "ctl": dots_picture("ctl: what it costs to change one's mind", "CPU a change"),
    "timers": dots_picture("timers: what a timer costs among many", "CPU a timer"),
    "post": dots_picture("post: what it costs to hand a loop something from another thread", "Per post"),
    "memory": dots_picture("memory: what a connection holds in user space", "Bytes a connection"),
    "compile": dots_picture("compile: what an echo server costs to build", "The programs in bench/loops/servers"),
    "counted": dots_picture("counted: what no clock can blur", "User-space instructions and system calls"),
}


def table(cell):
    """Each contestant's figures, and the ratio of the first to raw epoll's."""
    figures = WORKLOADS[cell["workload"]].figures
    first = figures[0].name
    heads = [figure.heading for figure in figures]
    rows = [f"| | {' | '.join(heads)} | beside {BASE} |", "| --- " * (len(heads) + 2) + "|"]
    for name, samples, ratio in ranked(cell["samples"], first, BASE):
        told = [short(median(samples[figure.name])) if figure.name in samples else "" for figure in figures]
        shown = f"**{name}**" if name in OURS else name
        rows.append(f"| {shown} | {' | '.join(told)} | {ratio if ratio and name != BASE else ''} |")
    return "\n".join(rows)


BUDGETS = {("ring", "cpu_ns"): 1.03, ("echo", "cpu_ns"): 1.03, ("churn", "cpu_ns"): 1.03, ("ctl", "change_ns"): 1.0, ("ctl", "back_ns"): 0.6}


def kept(ratio, budget):
    return "kept" if ratio.middle <= budget else "over, but not for sure" if ratio.least <= budget else "**over**"


def budgets(result):
    """What the bag on epoll may cost beside raw epoll, and what it does."""
    return [f"| {cell['workload']}: {cell['title']}, {figure.meaning} | {ratio} | {budget} | {kept(ratio, budget)} |"
            for (workload, name), budget in BUDGETS.items() for cell in result.of(workload)
            for figure in WORKLOADS[workload].figures if figure.name == name and {"bag", BASE} <= cell["samples"].keys()
            for ratio in [Ratio(cell["samples"]["bag"][name], cell["samples"][BASE][name])]]


def verdicts(result):
    """Where peers are ahead of the bag or of the loop, both on epoll, and that is sure; and where these fell out."""
    behind = []
    for cell in result.cells:
        samples = cell["samples"]
        behind += [f"| {cell['workload']}: {cell['title']} | {name} | {why} |" for name, why in cell.get("out", {}).items() if name in OURS]
        for figure in (each for each in WORKLOADS[cell["workload"]].figures if each.ranks):
            for ours in ("bag", "loop"):
                there = [peer for peer in PEERS if all(figure.name in samples.get(name, {}) for name in (ours, peer))]
                ratios = {peer: Ratio(samples[ours][figure.name], samples[peer][figure.name]) for peer in there}
                ahead = [f"{peer} {ratio}" for peer, ratio in ratios.items() if ratio.least > 1 + NEGLIGIBLE]
                if ahead:
                    behind.append(f"| {cell['workload']}: {cell['title']}, {figure.meaning} | {ours} | {'; '.join(ahead)} |")
    return behind


def block(result):
    machine = result.machine
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items() if version)
    parts = [BEGIN, "", f"Measured on {machine['cores']} virtual cores, Linux {machine['linux']}, {machine['compiler']}, "
             f"{libraries}, Python {machine['python']}; {'`make bench-full`' if result.full else '`make bench`'}, "
             f"{result.rounds} rounds, of some cells more or fewer.", ""]
    for name, workload in WORKLOADS.items():
        cells = [cell for cell in result.of(name) if cell["samples"]]
        if not cells:
            continue
        about = workload.about[0].upper() + workload.about[1:]
        parts += [f"### {name}", "", f"{about}.", "", f"![{name}](pictures/{name}.svg)", ""]
        for cell in cells:
            parts += ["<details>" if len(cells) > 1 else "", f"<summary>{cell['title']}</summary>" if len(cells) > 1 else "", "",
                      table(cell), "", "</details>" if len(cells) > 1 else "", ""]
    behind = verdicts(result)
    parts += ["### Beside raw epoll", "", "What the bag on epoll costs, and what it may.", "", "| what | bag : raw epoll | budget | |",
              "| --- | --- | --- | --- |", *budgets(result), "", "### Where a peer is ahead", ""]
    parts += (["| what | ours | ours : theirs |", "| --- | --- | --- |", *behind] if behind else
              ["Nowhere in this run, as far as is sure."]) + ["", END]
    text = "\n".join(parts)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    result = Result(json.loads(pathlib.Path(sys.argv[1]).read_text()))
    pictures = DOCS / "pictures"
    pictures.mkdir(exist_ok=True)
    drawn_now = [name for name in PICTURES if any(cell["samples"] for cell in result.of(name))]
    for name in drawn_now:
        (pictures / f"{name}.svg").write_text(PICTURES[name]([cell for cell in result.of(name) if cell["samples"]]))
    page = DOCS / "performance.md"
    text = page.read_text()
    if BEGIN not in text or END not in text:
        sys.exit(f"{page} has lost its marks: {BEGIN} and {END}.")
    page.write_text(text[:text.index(BEGIN)] + block(result) + text[text.index(END) + len(END):])
    print(f"{page} and {len(drawn_now)} pictures are written.")


if __name__ == "__main__":
    main()
