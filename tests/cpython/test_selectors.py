"""CPython's own test_selectors, from the distribution's package, on each of our classes."""

import unittest

import bagselectors
from test import test_selectors as cpython


def on(backend):
    missing = {name: reason for name, is_there, reason in bagselectors.backends() if not is_there}

    class Suite(cpython.BaseSelectorTestCase, cpython.ScalableSelectorMixIn, unittest.TestCase):
        SELECTOR = getattr(bagselectors, backend)

    Suite.__name__ = Suite.__qualname__ = backend
    mechanism = Suite.SELECTOR._mechanism
    return unittest.skipIf(mechanism in missing, f"the system has no {mechanism}")(Suite)


for each in ("DefaultSelector", "EpollBag", "UringBag", "PollBag", "SelectBag"):
    globals()[each] = on(each)
del each

if __name__ == "__main__":
    unittest.main()
