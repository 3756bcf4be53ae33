"""Makes the system calls of a bag fail, one at a time, and holds the bag to its promises.

    inject.py PROBE BACKEND

For each call of the mechanism and each error that its manual page knows, the first, second, ... use of it fails once.
The probe goes on as a program would; in the end its bag must work and no descriptor be lost.
"""
import errno
import os
import re
import shutil
import subprocess
import sys
import unittest

PROBE, BACKEND = sys.argv[1:3]

CALLS = {
    "epoll": {
        "epoll_create1": ["EMFILE", "ENOMEM"],
        "eventfd2": ["EMFILE", "ENFILE"],
        "epoll_ctl": ["ENOMEM", "ENOSPC"],
        "epoll_wait": ["EINTR", "EINVAL"],
        "epoll_pwait2": ["EINTR", "EINVAL"],
    },
    "uring": {
        "io_uring_setup": ["EMFILE", "ENOMEM", "EPERM"],
        "eventfd2": ["EMFILE"],
        "mmap": ["ENOMEM"],
        "fcntl": ["EBADF"],
        "io_uring_enter": ["EINTR", "EBUSY", "EAGAIN"],
        "poll": ["EINTR", "ENOMEM"],
    },
    "poll": {"eventfd2": ["EMFILE"], "fcntl": ["EBADF"], "ppoll": ["EINTR", "ENOMEM"]},
    "kqueue": {"pipe2": ["EMFILE"], "kqueue": ["EMFILE", "ENOMEM"], "change": ["ENOMEM"], "wait": ["EINTR", "ENOMEM"]},
    "select": {"eventfd2": ["EMFILE"], "fcntl": ["EBADF"], "pselect6": ["EINTR", "ENOMEM"], "poll": ["EINTR", "ENOMEM"]},
}
# A call that the kernel or a sandbox refuses for good, so that the library must do without it.
REFUSED = {"epoll": {"epoll_pwait2": ["ENOSYS", "EPERM"]}}
# Asks to try again, and is not worth a word to anybody.
SILENT = ["EINTR", "EBUSY"]
# Only what is done to this file, where others use the same call.
PATHS = {"mmap": "anon_inode:[io_uring]"}
# Calls of the double of kevent(2), which fails by itself: tests/doubles/kevent.cpp.
DOUBLED = {"kqueue", "change", "wait"}
MOST_USES = 14


def run(call, error, when):
    if call in DOUBLED:
        return subprocess.run([PROBE, BACKEND], capture_output=True, text=True, timeout=60, check=False, env=os.environ
                              | {"SELECTORS_TEST_KEVENT": f"{call}:{getattr(errno, error)}:{when}"})
    path = ["-P", PATHS[call]] if call in PATHS else []
    fault = f"inject={call}:error={error}:when={when}"
    command = ["strace", "-f", "-o", "/dev/null", *path, "-e", fault, PROBE, BACKEND]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def strace_works():
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


opens = subprocess.run([PROBE, BACKEND], capture_output=True, text=True, timeout=60, check=False)
if "forbidden by a sandbox" in opens.stdout:
    sys.exit(print(opens.stdout) or 77)


@unittest.skipUnless(strace_works(), "strace is missing, or may not trace here")
class Faults(unittest.TestCase):
    def survives(self, call, error, when):
        done = run(call, error, when)
        self.assertEqual(done.returncode, 0, f"{call} {error} at its use {when}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def test_each_call_fails_once(self):
        for call, errors in CALLS[BACKEND].items():
            for error in errors:
                seen = set()
                for when in range(1, MOST_USES + 1):
                    for line in self.survives(call, error, when).splitlines():
                        seen.add(line)
                # An interrupted wait goes on; everything else must have been said to somebody.
                said = [line for line in seen if re.search(r"\[\d+\]|reported", line)]
                with self.subTest(call=call, error=error):
                    self.assertEqual(bool(said), error not in SILENT, seen)

    def test_the_call_is_named(self):
        names = {"eventfd2": "eventfd", "epoll_create1": "epoll_create1", "epoll_ctl": "epoll_ctl",
                 "epoll_wait": "epoll_wait", "epoll_pwait2": "epoll_wait", "fcntl": "fcntl", "ppoll": "poll",
                 "pselect6": "select", "poll": "poll", "io_uring_setup": "io_uring_setup", "mmap": "mmap",
                 "io_uring_enter": "io_uring_enter", "pipe2": "pipe", "kqueue": "kqueue",
                 "change": "kevent", "wait": "kevent"}
        for call, errors in CALLS[BACKEND].items():
            if errors == ["EINTR"]:
                continue
            text = "".join(self.survives(call, errors[-1], when) for when in range(1, MOST_USES + 1))
            self.assertIn(names[call], text)

    def test_what_is_refused_for_good_is_done_without(self):
        for call, errors in REFUSED.get(BACKEND, {}).items():
            for error in errors:
                self.assertNotRegex(self.survives(call, error, "1+"), r"\[\d+\]")


unittest.main(argv=["inject.py", "-v"])
