"""Random objects as arguments, in random order, from handlers and finalizers: an exception at most, never a crash.

    fuzz.py [--calls N] [--seed N]

Prints its seed. Runs under AddressSanitizer where the module was built with it.
"""

import argparse
import gc
import os
import random
import socket

import bagselectors


class Strange:
    """Has a fileno, compares and prints itself, and does each in its own way."""

    def __init__(self, of):
        self.of = of
        if of.choose([True, False]):
            self.me = self  # for the collector

    def fileno(self):
        return self.of.anything()

    def __eq__(self, other):
        self.of.act()
        return self.of.choose([True, False, NotImplemented])

    def __hash__(self):
        return 1

    def __repr__(self):
        self.of.act()
        return "strange"

    def __index__(self):
        return self.of.choose([0, 1, 2, 3, 5, -1, 2**70])

    def __float__(self):
        self.of.act()
        return self.of.choose([0.0, -1.0, float("nan"), 1e-6])

    def __del__(self):
        self.of.act()


class Fuzz:
    def __init__(self, seed, calls):
        self.random = random.Random(seed)
        self.left, self.depth, self.raised = calls, 0, 0
        self.classes = [each for each in (bagselectors.EpollBag, bagselectors.UringBag, bagselectors.PollBag,
                                          bagselectors.SelectBag)
                        if dict((name, there) for name, there, _ in bagselectors.backends())[each._mechanism]]
        self.selectors = [each() for each in self.classes]
        self.sockets = [socket.socketpair() for _ in range(20)]
        self.kept = []

    def choose(self, among):
        return among[self.random.randrange(len(among))]

    def anything(self):
        return self.choose([
            lambda: self.choose([0, 1, 2, 3, 4, -1, 7, 10**6, 2**31, 2**63, -2**63, 2**100, True]),
            lambda: self.choose([None, "", "text", b"", 1.5, float("nan"), float("inf"), -0.0, 1e300, (), [], {}]),
            *[lambda: self.choose(self.choose(self.sockets))] * 20,
            lambda: self.choose(self.choose(self.sockets)).fileno(), lambda: Strange(self), lambda: self.choose(self.selectors),
            lambda: object()])()

    def act(self):
        if self.left <= 0 or self.depth > 3:
            return
        self.left -= 1
        self.depth += 1
        try:
            self.call()
        except (ValueError, KeyError, TypeError, OSError, OverflowError, RuntimeError, AttributeError, RecursionError):
            self.raised += 1
        finally:
            self.depth -= 1

    def call(self):
        selector = self.choose(self.selectors)
        events = lambda: self.choose([1, 2, 3, self.anything()])
        dice = self.random.randrange(100)
        if dice < 30:
            selector.register(self.anything(), events(), *[self.anything()] * self.random.randrange(3))
        elif dice < 45:
            selector.unregister(self.anything())
        elif dice < 60:
            selector.modify(self.anything(), events(), *[self.anything()] * self.random.randrange(2))
        elif dice < 75:
            selector.select(self.choose([0, 1e-5, -1, Strange(self), "never", float("nan")]))
        elif dice < 80:
            selector.get_key(self.anything())
        elif dice < 84:
            view = selector.get_map()
            if view is not None:
                self.choose([lambda: list(view.items()), lambda: view[self.anything()], lambda: self.anything() in view])()
        elif dice < 88:
            selector.register(fileobj=self.anything(), events=events(), data=self.anything())
        elif dice < 90:
            selector.select(timeout=0, nonsense=self.anything())
        elif dice < 92:
            selector.close()
        elif dice < 94:
            self.selectors[self.random.randrange(len(self.selectors))] = self.choose(self.classes)()
        elif dice < 97:
            at = self.random.randrange(len(self.sockets))
            for end in self.sockets[at]:
                end.close()
            self.sockets[at] = socket.socketpair()
        elif dice < 99:
            self.choose(self.sockets)[0].send(b"x")
        elif self.choose([True, False]):
            # The collector runs anywhere from now on: small objects come from it, not from what was freed before.
            gc.set_threshold(self.random.randrange(1, 20))
            self.kept = [tuple([None] * (i % 4 + 1)) for i in range(self.random.randrange(3000))]
        else:
            selector.__init__(*[self.anything()] * self.random.randrange(2))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    given = options.parse_args()
    print(f"fuzz.py --calls {given.calls} --seed {given.seed}", flush=True)
    fuzz = Fuzz(given.seed, given.calls)
    while fuzz.left > 0:
        fuzz.act()
    print(f"{given.calls} calls, {fuzz.raised} raised")


main()
