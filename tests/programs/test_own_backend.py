"""The example of a backend of one's own counts what the bag tells it."""

import unittest

from programs import example, on_every_backend, run


@on_every_backend
class CountingBackend:
    def test_changes_that_net_out_are_not_told(self):
        ended = run(example("counting_backend"), env={"SELECTORS_BACKEND": self.backend})
        self.assertEqual(ended.returncode, 0, ended)
        self.assertRegex(ended.stdout, rf"^2001 changes, 1001 selects; {self.backend} was told: "
                                       r"1 add, 0 modify, 1 remove, \d+ waits\n$")
        waits = int(ended.stdout.split()[-2])
        self.assertGreaterEqual(waits, 1001)
        self.assertLess(waits, 1010)


if __name__ == "__main__":
    unittest.main()
