"""The factorial server: every line has its answer, in order, and no line does it any harm."""

import math
import re
import socket
import unittest

from programs import PROGRAM, SANITIZED, Program, WithClients, example, on_every_backend


class Factorial(WithClients):
    def setUp(self):
        self.server = Program(*self.command, backend=self.backend)
        self.addCleanup(self.server.__exit__)
        self.address = self.server.address()

    def ask(self, line):
        if not hasattr(self, "asking"):
            self.asking = self.client()
        self.asking.sendall(line.encode() + b"\n")
        return self.asking.line()

    def test_whole_numbers_with_their_error_and_the_promise(self):
        form = re.compile(r"(\d+)! = (\d+); Spouge's formula with a = 12\.5 gives (\S+), relative error "
                          r"(none that a double shows|\S+ ?(?:\(rounding alone may cause \S+\))?); "
                          r"the formula promises a relative error below (\S+)")
        for n in (0, 1, 5, 20, 25, 100, 170):
            answer = self.ask(str(n))
            match = form.fullmatch(answer)
            self.assertTrue(match, answer)
            self.assertEqual(int(match[1]), n)
            self.assertEqual(int(match[2]), math.factorial(n))
            self.assertLess(abs(float(match[3]) / math.factorial(n) - 1), float(match[5]))
            if not match[4].startswith("none"):
                self.assertLess(float(match[4].split()[0]), float(match[5]))

    def test_real_numbers_right_and_left_of_zero(self):
        for z in (0.5, 2.5, 1e-3, 99.25, 170.5, -0.5, -1.5, -2.5, -20.25):
            answer = self.ask(repr(z))
            name = f"({z!r})" if z < 0 else repr(z)
            match = re.match(r"(\S+)! = (\S+) by Spouge's formula", answer)
            self.assertTrue(match, answer)
            self.assertEqual(float(match[1].strip("()")), z, name)
            self.assertAlmostEqual(float(match[2]) / math.gamma(z + 1), 1, delta=2e-11)

    def test_what_a_double_cannot_hold_is_answered_as_its_log10(self):
        for n in (171, 1000, 1e15):
            answer = self.ask(repr(n))
            match = re.search(r"is too large for a double; by Spouge's formula log10 of it is (\S+);", answer)
            self.assertTrue(match, answer)
            self.assertAlmostEqual(float(match[1]) / (math.lgamma(n + 1) / math.log(10)), 1, delta=1e-13)
        self.assertIn("is too small for a double; by Spouge's formula log10 of its negative is -329.",
                      self.ask("-181.5"))
        self.assertIn("cannot even hold its logarithm", self.ask("1e308"))

    def test_bad_lines_are_answered_with_a_sentence(self):
        for bad in ("", "five", "5 6", "0x10", "nan", "inf", "--1", "5!", "\x01\x02"):
            self.assertRegex(self.ask(bad), r'^I cannot read ".*" as a number; write one like 5')
        for pole in ("-1", "-3", "-1e9"):
            self.assertIn("has no value", self.ask(pole))
        self.assertIn("outside of what a double can hold", self.ask("1e999"))
        self.assertIn("too long", self.ask("1" * 101))
        self.assertIn("too long", self.ask("1" * 1_000_000))
        self.assertTrue(self.ask("  +5\t\r").startswith("5! = 120;"))
        self.assertIn("log10", self.ask("1" * 100))

    def test_many_lines_at_once_and_a_last_one_without_its_end(self):
        client = self.client()
        client.sendall(b"".join(b"%d\n" % (n % 200) for n in range(2000)) + b"4")
        client.shutdown(socket.SHUT_WR)
        answers = client.to_the_end().decode().splitlines()
        self.assertEqual(len(answers), 2001)
        for n, answer in enumerate(answers[:-1]):
            self.assertTrue(answer.startswith(f"{n % 200}! "), answer)
        self.assertTrue(answers[-1].startswith("4! = 24;"))

    @unittest.skipIf(SANITIZED, "the memory of a sanitizer is not the server's")
    def test_who_does_not_read_is_not_read_from(self):
        client = self.client()
        before = self.server.memory()
        client.send_until_full(b"170\n" * 10_000)
        self.assertLess(self.server.memory() - before, 4_000_000)
        self.assertTrue(self.ask("5").startswith("5! = 120"))


@on_every_backend
class FactorialExample(Factorial):
    @property
    def command(self):
        return example("factorial_server"), "127.0.0.1:0"


@on_every_backend
class FactorialService(Factorial):
    command = (PROGRAM, "serve", "factorial", "--listen", "127.0.0.1:0")


if __name__ == "__main__":
    unittest.main()
