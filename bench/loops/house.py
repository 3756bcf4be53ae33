#!/usr/bin/env python3
"""The benchmark house: one run, every contestant, in turns.

    house.py [--full] [--rounds N] [--only WORKLOADS] [--contestants NAMES] [--build DIRECTORY] [--json FILE]

Each echo server shows first that it is one. Then every cell is played in rounds, in which the contestants take turns in an
order that changes from round to round; a round is a process of its own. Server and load have a core each; what counts is the
CPU time of the server, which the load reads from outside. Printed are medians, and the ratio to raw epoll of the same round with
its quartiles. Where 1.00 may be the true median, by the sign test in 19 of 20 cases, the two are the same as far as this can tell.

Without --full it takes some minutes, with it an hour. The JSON has every sample; page.py makes a page with pictures of it.
"""

import argparse
import json
import os
import platform
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

from checks import Wrong, check
from contestants import BASE, CONTESTANTS
from figures import median, ranked, short
from programs import Failed, Missing, built_with, offered
from workloads import CELLS, LOAD_CORE, SERVER_CORE


def say(text=""):
    print(text, flush=True)


def machine(build):
    return {"cores": os.cpu_count(), "linux": platform.release().split("-")[0], "python": platform.python_version(),
            **built_with(build)}


def takes_part(cell, contestant, plays, serves):
    """Whether this contestant has something for this cell."""
    if cell.size > contestant.most:
        return False
    if contestant.kind == "ours" and contestant.backend != "epoll" and not cell.workload.on_each_mechanism:
        return False
    return contestant in serves if cell.workload.served else cell.workload.name in plays[contestant]


def play(build, cell, contestants, rounds, order):
    """{name: {figure: samples}} of those who played every round, and {name: why} of the others."""
    found, out = {each.name: {} for each in contestants}, {}
    left = list(contestants)
    for _ in range(rounds):
        order.shuffle(left)
        for each in list(left):
            try:
                told = cell.workload.play(build, each, cell)
            except (Missing, Failed, subprocess.SubprocessError) as trouble:
                say(f"  {each.name} is out: {trouble}")
                out[each.name] = str(trouble)
                left.remove(each)
                del found[each.name]
                continue
            for name, value in told.items():
                found[each.name].setdefault(name, []).append(value)
    return found, out


def show(cell, found):
    say(f"\n{cell.workload.name}: {cell.title}")
    figures = cell.workload.figures
    header = "".join(f"{figure.meaning + (' ' + figure.unit if figure.unit else ''):>18}" for figure in figures)
    say(f"  {'':<24}{header}   beside {BASE}")
    for name, samples, ratio in ranked(found, figures[0].name, BASE):
        row = "".join(f"{short(median(samples[figure.name])) if figure.name in samples else '-':>18}" for figure in figures)
        say(f"  {name:<24}{row}   {ratio if ratio and name != BASE else ''}")


def arguments():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--full", action="store_true", help="every cell, and more rounds")
    options.add_argument("--rounds", type=int, default=0, help="of each cell; 7, with --full 9")
    options.add_argument("--only", default="", help="these workloads, with commas between")
    options.add_argument("--contestants", default="", help="these, with semicolons between; all with raw epoll")
    options.add_argument("--build", default="build/release")
    options.add_argument("--json", default="")
    options.add_argument("--seed", type=int, default=random.randrange(1 << 30), help="of the order of the turns")
    given = options.parse_args()
    given.build = os.path.abspath(given.build)
    given.rounds = given.rounds or (9 if given.full else 7)
    return given


def chosen(given):
    """The cells and the contestants that were asked for."""
    workloads = given.only.split(",") if given.only else []
    wanted = {name.strip() for name in given.contestants.split(";") if name.strip()}
    unknown = (set(workloads) - {each.workload.name for each in CELLS}) | (wanted - {each.name for each in CONTESTANTS})
    if unknown:
        sys.exit(f"house.py knows no {', '.join(sorted(unknown))}; workloads are "
                 f"{', '.join(sorted({each.workload.name for each in CELLS}))}; contestants are "
                 f"{'; '.join(each.name for each in CONTESTANTS)}.")
    cells = [each for each in CELLS if (given.full or each.short) and (not workloads or each.workload.name in workloads)]
    return cells, [each for each in CONTESTANTS if not wanted or each.name in wanted or each.name == BASE]


def provided():
    """Ends the program, with the way out, where something is missing that every cell needs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if LOAD_CORE is None:
        sys.exit("Server and load want a core each, and this process may have but one.")
    if missing := [tool for tool in ("taskset", "strip", "strace", "valgrind") if not shutil.which(tool)]:
        sys.exit(f"There is no {', no '.join(missing)} here: scripts/setup bench installs what is missing.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and whoever serves is ended


def examined(build, contestants):
    """What each plays in one process, who serves, and the names of those that were not built."""
    plays = {each: offered(build, each) for each in contestants}
    serves, absent = set(), []
    for each in contestants:
        try:
            check(build, each)
            serves.add(each)
        except Missing:
            if not plays[each]:
                absent.append(each.name)
        except (Wrong, OSError) as trouble:
            say(f"{each.name} is no echo server here as the house wants one, and serves none: {trouble}.")
            if each.kind == "ours" or each.name == BASE:
                sys.exit(1)
    say(f"{len(contestants) - len(absent)} contestants; what they serve is right."
        + (f" Not built here, and left out: {', '.join(absent)}." if absent else ""))
    return plays, serves, absent


def main():
    given = arguments()
    cells, contestants = chosen(given)
    provided()
    about = machine(given.build)
    say(f"{about['cores']} cores, of which {SERVER_CORE} serves and {LOAD_CORE} loads; Linux {about['linux']}, {about['compiler']}, "
        + ", ".join(f"{name} {version}" for name, version in about["libraries"].items() if version)
        + f"; load {os.getloadavg()[0]:.2f}, seed {given.seed}")
    plays, serves, absent = examined(given.build, contestants)

    order = random.Random(given.seed)
    result = {"machine": about, "seed": given.seed, "full": given.full, "rounds": given.rounds, "absent": absent, "cells": []}
    fallen = set()
    start = time.monotonic()
    for number, cell in enumerate(cells):
        those = [each for each in contestants if takes_part(cell, each, plays, serves)]
        found, out = play(given.build, cell, those, max(1, round(given.rounds * cell.rounds)), order)
        fallen |= {each.name for each in those if each.name in out and (each.kind == "ours" or each.name == BASE)}
        result["cells"].append({"workload": cell.workload.name, "title": cell.title, "size": cell.size,
                                "options": cell.options, "samples": found, "out": out})
        if given.json:
            with open(given.json, "w") as file:
                json.dump(result, file, indent=1)
        show(cell, found)
        say(f"  ({number + 1} of {len(cells)} cells, {time.monotonic() - start:.0f} s)")
    if fallen:
        sys.exit(f"Ours, or what all are compared with, fell out of a cell: {', '.join(sorted(fallen))}; see above.")


if __name__ == "__main__":
    main()
