#!/usr/bin/env python3
"""Whether two runs of the house say the same of who is cheaper: of every pair in every cell of which both are sure.

    compare.py ONE.json OTHER.json      ends with 1 if they contradict each other anywhere

Sure is what is so in 19 of 20 cases, and more than half a percent. So of a thousand pairs that cost the same, one is contradicted all the same.
"""

import itertools
import json
import pathlib
import sys

from figures import NEGLIGIBLE, Ratio
from workloads import CELLS

FIGURES = {each.workload.name: [figure for figure in each.workload.figures if figure.ranks] for each in CELLS}


def cells(path):
    return {(each["workload"], each["title"]): each["samples"] for each in json.loads(pathlib.Path(path).read_text())["cells"]}


def ratios(samples, figure):
    """{(one, other): Ratio} of those who played every round."""
    there = sorted(name for name in samples if figure in samples[name])
    return {pair: Ratio(*(samples[name][figure] for name in pair)) for pair in itertools.combinations(there, 2)
            if len(samples[pair[0]][figure]) == len(samples[pair[1]][figure])}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    one, other = map(cells, sys.argv[1:])
    both = [key for key in one if key in other]
    sure = contradicted = pairs = 0
    for key in both:
        for figure in FIGURES[key[0]]:
            first, second = (ratios(each[key], figure.name) for each in (one, other))
            for pair in first.keys() & second.keys():
                a, b = first[pair], second[pair]
                pairs += 1
                if any(each.same or abs(each.middle - 1) < NEGLIGIBLE for each in (a, b)):
                    continue
                sure += 1
                if (a.middle > 1) != (b.middle > 1):
                    contradicted += 1
                    print(f"{key[0]}: {key[1]}, {figure.meaning}: {pair[0]} : {pair[1]} is {a}, and {b} in the other run")
    print(f"{len(both)} cells in both, {pairs:,} pairs; both runs are sure of {sure:,}, and contradict each other in {contradicted}.")
    sys.exit(1 if contradicted else 0)


if __name__ == "__main__":
    main()
