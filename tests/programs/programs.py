"""What the tests of the programs share: to start one, to talk to it, to look at it from outside.

The programs run as a user's would: real processes, real sockets on free loopback ports. Every wait
has an end, and says what it waited for. Nothing here sleeps where something can be awaited.

The environment says where the programs are: SELECTORS_EXAMPLES (a directory), SELECTORS_PROGRAM
(a file), SELECTORS_SANITIZE (not empty: memory and processor time are the sanitizer's).
"""

import contextlib
import os
import pty
import random
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

PATIENCE = 15.0  # seconds until a test gives up; far more than anything here takes
ALL_BACKENDS = ("epoll", "uring", "poll", "select")
if not {"SELECTORS_EXAMPLES", "SELECTORS_PROGRAM"} <= os.environ.keys():
    sys.exit("SELECTORS_EXAMPLES and SELECTORS_PROGRAM must say where the programs are; ctest does that.")
EXAMPLES = os.environ["SELECTORS_EXAMPLES"]
PROGRAM = os.environ["SELECTORS_PROGRAM"]
BATCHES = os.environ.get("SELECTORS_BATCHES", "")
OPERATIONS_ECHO = os.environ.get("SELECTORS_OPERATIONS_ECHO", "")
WITHOUT_URING = os.environ.get("SELECTORS_WITHOUT_URING", "")
SANITIZED = os.environ.get("SELECTORS_SANITIZE", "")

# A sandbox may refuse one: it is then listed as "not here".
listed = subprocess.run([PROGRAM, "backends"], capture_output=True, text=True, timeout=60, check=True,
                        env={key: value for key, value in os.environ.items() if key != "SELECTORS_BACKEND"}).stdout
BACKENDS = tuple(each for each in ALL_BACKENDS if not re.search(rf"(?m)^..{each} +not here", listed))

# A thousand connections have two ends here; the servers inherit the limit.
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def example(name):
    return os.path.join(EXAMPLES, name)


def on_every_backend(case):
    """Makes a TestCase for each backend of a class of tests; SELECTORS_BACKEND chooses it."""
    module = sys.modules[case.__module__]
    for backend in BACKENDS:
        name = f"{case.__name__}_{backend}"
        fields = {"backend": backend, "__module__": case.__module__, "__qualname__": name}
        setattr(module, name, type(name, (case, unittest.TestCase), fields))
    return case


def until(condition, what, patience=PATIENCE, pause=0.005):
    """Asks again and again; returns what the condition returned. For what sends no event."""
    end = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"in {patience} s it did not happen that {what}")
        time.sleep(pause)
    return value


def free_port():
    """Below those that the system gives to connections: none of other tests' takes it before the program does."""
    while True:
        try:
            with socket.create_server(("127.0.0.1", random.randint(10000, 32000))) as taken:
                return taken.getsockname()[1]
        except OSError:
            pass


class Program:
    """A program that runs until the end of the `with`; its output is read line by line."""

    def __init__(self, *command, backend=None, stdin=subprocess.DEVNULL, terminal=False, **options):
        environment = dict(os.environ)
        environment.pop("SELECTORS_BACKEND", None)
        if backend:
            environment["SELECTORS_BACKEND"] = backend
        self.command = command
        self.unread = b""
        self.errors = tempfile.TemporaryFile()
        if terminal:
            # On a terminal a program prints its lines at once, and reads what is typed.
            self.output, end = pty.openpty()
            self.process = subprocess.Popen(
                command, stdin=end, stdout=end, stderr=self.errors, env=environment,
                start_new_session=True, **options)
            os.close(end)
        else:
            self.process = subprocess.Popen(
                command, stdin=stdin, stdout=subprocess.PIPE, stderr=self.errors, env=environment,
                **options)
            self.output = self.process.stdout.fileno()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        else:
            os.close(self.output)
        if self.process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        self.errors.close()

    @property
    def pid(self):
        return self.process.pid

    def fail(self, what):
        raise AssertionError(f"{what}\n  command: {' '.join(map(str, self.command))}\n"
                             f"  exit code: {self.process.poll()}\n"
                             f"  unread output: {self.unread!r}\n  stderr: {self.stderr()!r}")

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def _read_more(self, patience):
        """False if nothing came in that time, or nothing more will."""
        if not select.select([self.output], [], [], max(patience, 0))[0]:
            return False
        try:
            more = os.read(self.output, 65536)
        except OSError:  # a terminal whose other end is closed
            more = b""
        self.unread += more
        return bool(more)

    def line(self, patience=PATIENCE):
        """The next line of output, without its end."""
        end = time.monotonic() + patience
        while b"\n" not in self.unread:
            if not self._read_more(end - time.monotonic()):
                self.fail("another line of output was awaited")
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode().rstrip("\r")

    def silent(self, seconds=0.15):
        """Whether it prints nothing for so long: the one thing that can only be waited for."""
        return not self.unread and not self._read_more(seconds)

    def rest(self, patience=PATIENCE):
        """All that it still prints until it ends its output."""
        end = time.monotonic() + patience
        while self._read_more(end - time.monotonic()):
            pass
        if time.monotonic() >= end:
            self.fail("the end of the output was awaited")
        rest, self.unread = self.unread, b""
        return rest

    def address(self):
        """Where it says it listens, as (host, port)."""
        line = self.line()
        if not line.startswith("listening on "):
            self.fail(f"it should say where it listens, and said {line!r}")
        host, _, port = line.removeprefix("listening on ").rpartition(":")
        return host.strip("[]"), int(port)

    def send_signal(self, which):
        self.process.send_signal(which)

    def exit_code(self, patience=PATIENCE):
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.fail(f"its end was awaited for {patience} s")

    # --- from outside --------------------------------------------------------------------------

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.pid}/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()

    def asleep(self):
        """Whether it waits: not running, and not held by a tracer, as it is while one looks at a call's end."""
        with open(f"/proc/{self.pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "S"

    def processor_seconds(self):
        """User and system time; to the nanosecond where the kernel keeps it so, else in its ticks."""
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{self.pid}/schedstat") as schedstat:
            return int(schedstat.read().split()[0]) / 1e9
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(*command, **options):
    """Runs to the end; the CompletedProcess has text."""
    options = {"stdin": subprocess.DEVNULL, "timeout": PATIENCE, **options}
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


class Client(socket.socket):
    """A blocking TCP connection whose every call ends."""

    def __init__(self, address, receive_buffer=None):
        super().__init__(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.settimeout(PATIENCE)
        if receive_buffer:  # before the connect, or the window is large already
            self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.connect(address)
        except OSError:
            self.close()
            raise
        self.unread = b""

    def exactly(self, size):
        while len(self.unread) < size:
            more = self.recv(65536)
            if not more:
                raise AssertionError(f"closed after {len(self.unread)} of {size} bytes")
            self.unread += more
        taken, self.unread = self.unread[:size], self.unread[size:]
        return taken

    def line(self):
        while b"\n" not in self.unread:
            more = self.recv(65536)
            if not more:
                raise AssertionError(f"closed in the midst of a line: {self.unread!r}")
            self.unread += more
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode()

    def to_the_end(self):
        pieces = [self.unread]
        while more := self.recv(65536):
            pieces.append(more)
        self.unread = b""
        return b"".join(pieces)

    def ask(self, message):
        """Sends and reads as much back."""
        self.sendall(message)
        return self.exactly(len(message))

    def answers_within(self, seconds):
        """Whether anything comes, the end included."""
        return bool(select.select([self], [], [], seconds)[0])

    def send_until_full(self, block=b"x" * 65536, quiet=0.2):
        """Sends until nothing is taken any more for a while; returns how much was."""
        taken = 0
        self.setblocking(False)
        while select.select([], [self], [], quiet)[1]:
            with contextlib.suppress(BlockingIOError):
                taken += self.send(block)
        self.settimeout(PATIENCE)
        return taken

    def reset(self):
        """Closes with a reset instead of an end."""
        self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class WithClients:
    """For a TestCase whose server is at `self.address`."""

    def client(self, **options):
        client = Client(self.address, **options)
        self.addCleanup(client.close)
        return client


class Strace(Program):
    """strace, attached to a running program. Skips the test where strace cannot do that."""

    def __init__(self, case, target, *options):
        if not shutil.which("strace"):
            case.skipTest("strace is not installed")
        self.log = tempfile.NamedTemporaryFile(mode="r")
        super().__init__("strace", "-f", "-p", str(target.pid), "-o", self.log.name, *options)
        said = until(lambda: self.stderr() or self.process.poll() is not None and "nothing",
                     "strace says whether it is attached")
        if "attached" not in said:
            self.__exit__()
            case.skipTest(f"strace cannot attach here: {said.strip()}")

    def detach(self):
        """Lets the program go on alone; returns what was logged."""
        self.send_signal(signal.SIGINT)
        self.exit_code()
        self.log.seek(0)
        return self.log.read()


if os.name != "posix" or not os.path.isdir("/proc/self"):
    raise unittest.SkipTest("these tests look at processes through /proc")
