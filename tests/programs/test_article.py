"""The article's three programs print what the article says, when it says."""

import unittest

from programs import PATIENCE, Client, Program, example, free_port, on_every_backend, until


def connected(port):
    """The program prints nothing before it listens, so it is tried until it does."""
    def attempt():
        try:
            return Client(("127.0.0.1", port))
        except ConnectionRefusedError:
            return None
    return until(attempt, "the program listens", PATIENCE)


class BlockingAccept(unittest.TestCase):
    def test_accept_blocks_until_somebody_connects(self):
        port = free_port()
        with Program(example("blocking_accept"), str(port), terminal=True) as server:
            self.assertEqual(server.line(), "About to accept:")
            self.assertTrue(server.silent())
            with Client(("127.0.0.1", port)):
                self.assertEqual(server.line(), "Call to `accept` returned.")
                self.assertEqual(server.exit_code(), 0)


@on_every_backend
class AcceptWhenReady:
    def check(self, program):
        port = free_port()
        with Program(example(program), str(port), backend=self.backend, terminal=True) as server:
            self.assertTrue(server.silent())
            for _ in range(3):
                with connected(port):
                    self.assertEqual(server.line(), "About to accept.")
                    self.assertEqual(server.line(), "Accepted.")
                self.assertTrue(server.silent(0.05))

    def test_selector_accept(self):
        self.check("selector_accept")

    def test_callback_accept(self):
        self.check("callback_accept")


if __name__ == "__main__":
    unittest.main()
