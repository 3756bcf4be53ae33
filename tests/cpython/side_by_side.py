"""CPython's own tests of what stands on selectors, with the standard selector and with ours, counted side by side.

    side_by_side.py [SUITE...]          test_asyncio test_socketserver test_subprocess unless named

The suites come from the distribution's package. Ends with 1 if something passes with the standard selector alone.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile
import unittest

SUITES = ("test_asyncio", "test_socketserver", "test_subprocess")


class Recorder(unittest.TextTestResult):
    """How each test ended, by its name."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.ended = {}

    def addSuccess(self, test):
        super().addSuccess(test)
        self.ended[test.id()] = "passed"

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.ended[test.id()] = "skipped"

    def addError(self, test, err):
        super().addError(test, err)
        self.ended[test.id()] = "failed"

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.ended[test.id()] = "failed"

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.ended[test.id()] = "failed"


def run(ours, suite, report):
    if ours:
        import bagselectors
        bagselectors.install()
    from test import support
    support.use_resources = ["network", "subprocess"]
    tests = unittest.defaultTestLoader.loadTestsFromName(f"test.{suite}")
    result = unittest.TextTestRunner(verbosity=0, resultclass=Recorder).run(tests)
    with open(report, "w") as file:
        json.dump(result.ended, file)


def read(path):
    with open(path) as file:
        return file.read()


def both(suite):
    """{test: how it ended} with the standard selector, and with ours."""
    ended, running = [], []
    with tempfile.TemporaryDirectory() as room:
        for which in ("standard", "ours"):
            os.mkdir(f"{room}/{which}.d")  # the suites make files where they are
            with open(f"{room}/{which}.log", "w") as log:
                running.append(subprocess.Popen(
                    [sys.executable, "-B", os.path.abspath(__file__), "--run", which, suite, f"{room}/{which}"],
                    cwd=f"{room}/{which}.d", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log))
        for which, process in zip(("standard", "ours"), running):
            process.wait()
            try:
                with open(f"{room}/{which}") as file:
                    ended.append(json.load(file))
            except FileNotFoundError:
                sys.exit(f"{suite} with {which} ended with {process.returncode}:\n{read(f'{room}/{which}.log')}")
        return *ended, read(f"{room}/ours.log")


def main():
    if sys.argv[1:2] == ["--run"]:
        return run(sys.argv[2] == "ours", *sys.argv[3:])
    lost = 0
    for suite in sys.argv[1:] or SUITES:
        standard, ours, log = both(suite)
        for name, ended in (("standard", standard), ("ours", ours)):
            count = collections.Counter(ended.values())
            print(f"{suite}, {name}: " + ", ".join(f"{count[how]} {how}" for how in ("passed", "skipped", "failed")),
                  flush=True)
        missing = [name for name, how in standard.items() if how == "passed" and ours.get(name) != "passed"]
        for name in missing:
            print(f"  {name}: {ours.get(name, 'did not run')} with ours", flush=True)
        if missing:
            print(log)
        lost += len(missing)
    return lost > 0


sys.exit(main())
