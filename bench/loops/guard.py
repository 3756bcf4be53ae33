#!/usr/bin/env python3
"""Keeps our own paths from growing: their user-space instructions, counted by callgrind, beside those that were recorded.

    guard.py [--build DIRECTORY]            ends with 1 if one is 3 percent above what guard.json says
    guard.py --record [--build DIRECTORY]   writes guard.json: after a change that is worth its price

Counts repeat exactly with the same compiler and C library; with others they are printed, and decide nothing. The ring is played by
raw epoll, too: the bag may take 15 instructions an event more, with any compiler.
"""

import argparse
import json
import os
import pathlib
import sys

from contestants import CONTESTANTS
from counts import echo, inside, ring
from programs import built_with

RECORD = pathlib.Path(__file__).with_name("guard.json")
ALLOWED = 0.03
BUDGET = 15  # of the bag over raw epoll, an event of the ring


def toolchain(build):
    return f"{built_with(build)['compiler']}, {os.confstr('CS_GNU_LIBC_VERSION')}"


def measured(build):
    who = {each.name: each for each in CONTESTANTS}
    valgrind = "valgrind"
    found = {}
    for name in ("raw epoll", "bag", "loop"):
        found[f"ring, {name}"] = ring(valgrind, build, who[name])
    for name in ("bag", "loop"):
        found[f"ring, 1 active, {name}"] = ring(valgrind, build, who[name], {"count": 100, "active": 1})
        found[f"echo, {name}"] = echo(valgrind, build, who[name])
        found[f"ctl, {name}"] = inside(valgrind, build, who[name], "ctl", {"count": 1000}, ({"laps": 1}, 6000), ({"laps": 3}, 18000))
    found["timers, loop"] = inside(valgrind, build, who["loop"], "timers", {"count": 20_000}, ({"laps": 1}, 220_000), ({"laps": 3}, 660_000))
    found["post, loop"] = inside(valgrind, build, who["loop, callbacks"], "post", {}, ({"count": 20_000}, 20_000), ({"count": 120_000}, 120_000))
    return {what: round(figure, 2) for what, figure in found.items()}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--build", default="build/release")
    options.add_argument("--record", action="store_true")
    given = options.parse_args()
    found = measured(given.build)
    if given.record:
        RECORD.write_text(json.dumps({"toolchain": toolchain(given.build), "instructions": found}, indent=1) + "\n")
    recorded = json.loads(RECORD.read_text())
    comparable = recorded["toolchain"] == toolchain(given.build)
    print(f"{'user-space instructions an event':<36}{'now':>10}{'recorded':>10}")
    over = []
    for what, figure in found.items():
        before = recorded["instructions"].get(what)
        verdict = "" if before is None else f"{(figure / before - 1) * 100:+.1f} %"
        if comparable and before is not None and figure > before * (1 + ALLOWED):
            over.append(f"{what}: {figure} instructions, {before} were recorded")
            verdict += "  OVER"
        print(f"{what:<36}{figure:>10.2f}{before if before is not None else '-':>10}  {verdict}")
    beyond = found["ring, bag"] - found["ring, raw epoll"]
    print(f"{'ring, bag over raw epoll':<36}{beyond:>10.2f}{'':>10}  <= {BUDGET}")
    if beyond > BUDGET:
        over.append(f"the bag takes {beyond:.2f} instructions an event more than raw epoll, {BUDGET} are allowed")
    if not comparable:
        print(f"Recorded with {recorded['toolchain']}, this is {toolchain(given.build)}: not compared.")
    if over:
        sys.exit("Grown: " + "; ".join(over) + ". If the change is worth it: guard.py --record.")


if __name__ == "__main__":
    main()
