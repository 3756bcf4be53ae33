"""Makes sigaction fail, at one use after the other: a subscription is refused with a sentence, or nothing was missed.

    refused_signals.py LOOP_CASES
"""
import shutil
import signal
import subprocess
import sys
import unittest

CASES = sys.argv[1]
MOST_USES = 24


def strace_works():
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


@unittest.skipUnless(strace_works(), "strace is missing, or may not trace here")
class Refused(unittest.TestCase):
    def test_each_use_fails_once(self):
        said = ""
        for when in range(1, MOST_USES + 1):
            fault = f"inject=rt_sigaction:error=EINVAL:when={when}"
            done = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", fault, CASES,
                                   "--gtest_filter=loop.poll.a_signal_is_told_in_the_loops_turn"],
                                  capture_output=True, text=True, timeout=60, check=False)
            self.assertIn(done.returncode, (0, 1), f"at its use {when}:\n{done.stdout}{done.stderr}")
            said += done.stdout
        for number in signal.SIGUSR1, signal.SIGUSR2:
            self.assertIn(f"catching signal {int(number)}: Invalid argument", said)


unittest.main(argv=["refused_signals.py", "-v"])
