"""Samples of rounds, and what may be said of them."""

import math
import statistics


NEGLIGIBLE = 0.005  # who is ahead by less is not said to be


def quantile(samples, part):
    ordered = sorted(samples)
    at = part * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def sure(count):
    """How many of the lowest and of the highest of so many samples may be left out, so that in 19 of 20 cases the true median
    lies among the rest: the sign test. Of fewer than nine none may; of fewer than six nothing is sure: None."""
    left_out, doubt = 0, 2 * 0.5 ** count
    if doubt > 0.05:
        return None
    while doubt + 2 * math.comb(count, left_out + 1) * 0.5 ** count <= 0.05:
        left_out += 1
        doubt += 2 * math.comb(count, left_out) * 0.5 ** count
    return left_out


class Ratio:
    """How one did beside the other in the same rounds; below 1 the first was cheaper. `low` and `high` are the quartiles."""

    def __init__(self, of, base):
        ratios = sorted(a / b for a, b in zip(of, base))
        self.low, self.middle, self.high = (quantile(ratios, part) for part in (0.25, 0.5, 0.75))
        out = 0 if ratios[0] == ratios[-1] else sure(len(ratios))  # a count that repeats is sure
        self.least, self.most = (0, math.inf) if out is None else (ratios[out], ratios[-1 - out])

    @property
    def same(self):
        """1.00 lies where the true median may be: nothing can be said."""
        return self.least <= 1 <= self.most

    def __str__(self):
        return f"{self.middle:.2f} ({self.low:.2f} .. {self.high:.2f}){', same' if self.same else ''}"


def ranked(found, figure, base):
    """[(name, its samples, its Ratio to the base or None)], the cheapest first: by the ratios, which know what a round was like
    for everybody, or by the medians where the base sits out."""
    there = {name: samples for name, samples in found.items() if figure in samples}
    ratios = {name: Ratio(samples[figure], there[base][figure]) for name, samples in there.items()} if base in there else {}

    def cost(name):
        return math.inf if name not in there else ratios[name].middle if ratios else median(there[name][figure])
    return [(name, found[name], ratios.get(name)) for name in sorted(found, key=cost)]


def median(samples):
    return statistics.median(samples)


def short(value):
    """Three digits, as people write them."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
