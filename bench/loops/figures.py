"""Samples of rounds, and what may be said of them."""

import statistics


def quantile(samples, part):
    ordered = sorted(samples)
    at = part * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


class Ratio:
    """How one did beside the other in the same rounds; below 1 the first was cheaper."""

    def __init__(self, of, base):
        ratios = [a / b for a, b in zip(of, base)]
        self.low, self.middle, self.high = (quantile(ratios, part) for part in (0.25, 0.5, 0.75))

    @property
    def same(self):
        """The difference is under the spread: nothing can be said."""
        return self.low <= 1 <= self.high

    def __str__(self):
        return f"{self.middle:.2f} ({self.low:.2f} .. {self.high:.2f}){', same' if self.same else ''}"


def ranked(found, figure, base):
    """[(name, its samples, its Ratio to the base or None)], the cheapest first: by the ratios, which know what a round was like
    for everybody, or by the medians where the base sits out."""
    ratios = {name: Ratio(samples[figure], found[base][figure]) for name, samples in found.items()} if base in found else {}

    def cost(name):
        return ratios[name].middle if ratios else median(found[name][figure])
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
