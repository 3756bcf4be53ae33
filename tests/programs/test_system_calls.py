"""What the kernel sees of the servers: the calls per message, and what a failing accept costs."""

import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from programs import BACKENDS, BATCHES, OPERATIONS_ECHO, PROGRAM, SANITIZED, Client, Program, Strace, example, until

MESSAGES = 500
LINUX = tuple(int(re.match(r"\d*", part)[0] or 0) for part in platform.release().split(".")[:2])


def counts(summary):
    """strace -c's table as {call: count}."""
    found = {}
    for line in summary.splitlines():
        match = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
        if match and match[2] != "total":
            found[match[2]] = int(match[1])
    return found


class SteadyState(unittest.TestCase):
    # select(2) cannot tell a hang-up from data: that backend asks poll(2) about what is ready.
    # What io_uring says is asked once more, too; where it is forbidden, epoll is used instead.
    EPOLL = {"epoll_wait", "epoll_pwait", "epoll_pwait2"}
    WAITS = {"epoll": (1, EPOLL),
             "uring": (2, {"io_uring_enter", "poll"} | EPOLL),
             "poll": (1, {"poll", "ppoll"}),
             "select": (2, {"select", "pselect6", "poll"})}

    def echo_costs_one_recv_and_one_send(self, *command):
        for backend in BACKENDS:
            with self.subTest(backend=backend), Program(*command, backend=backend) as server:
                address = server.address()
                with Client(address) as first, Client(address) as second:
                    for client in (first, second):
                        client.ask(b"warm up")
                    with Strace(self, server, "-c") as strace:
                        for _ in range(MESSAGES):
                            first.ask(b"x" * 64)
                            second.ask(b"y" * 3000)
                        # An answer is there before strace has counted the call that sent it.
                        until(server.asleep, "the server waits for more")
                        seen = counts(strace.detach())
                print(f"  {backend}: {seen}", flush=True)
                self.assertEqual(seen.pop("recvfrom"), 2 * MESSAGES)
                self.assertEqual(seen.pop("sendto"), 2 * MESSAGES)
                calls_a_wait, names = self.WAITS[backend]
                waits = sum(seen.pop(name, 0) for name in names)
                self.assertLessEqual(waits, calls_a_wait * (2 * MESSAGES + 2))
                # strace's coming and going interrupts the wait, which then begins anew.
                seen.pop("restart_syscall", None)
                self.assertEqual(seen, {}, "nothing else is called, no epoll_ctl above all")

    def test_the_example(self):
        self.echo_costs_one_recv_and_one_send(example("echo_server"), "127.0.0.1:0")

    @unittest.skipUnless(OPERATIONS_ECHO, "a shared library hides what it would use")
    def test_the_operations_of_a_driver(self):
        self.echo_costs_one_recv_and_one_send(OPERATIONS_ECHO)

    def test_the_program(self):
        self.echo_costs_one_recv_and_one_send(
            PROGRAM, "serve", "echo", "--listen", "127.0.0.1:0", "--idle-timeout", "1h")


class Batches(unittest.TestCase):
    """What changes between two selects cost: io_uring is told of all of them at once, epoll of one with a call."""

    def calls(self, *arguments):
        with tempfile.NamedTemporaryFile("r") as summary:
            command = ["strace", "-f", "-c", "-o", summary.name, BATCHES, *map(str, arguments)]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(ended.returncode, 0, ended)
            return sum(counts(summary.read()).values())

    @unittest.skipIf(SANITIZED, "a sanitizer looks for leaks, which nobody can who is traced")
    @unittest.skipUnless("uring" in BACKENDS and shutil.which("strace"), "needs io_uring and strace")
    def test_a_thousand_adds_and_a_thousand_removes_are_four_system_calls(self):
        none, adds, both = (self.calls("uring", 1000, *changes) for changes in ((0, 0, 0), (1000, 0, 0), (1000, 1000, 0)))
        print(f"  1,000 adds: {adds - none} more; 1,000 adds and 1,000 removes: {both - none} more", flush=True)
        self.assertLessEqual(both - none, 4)

    @unittest.skipIf(SANITIZED, "a sanitizer looks for leaks, which nobody can who is traced")
    @unittest.skipUnless("epoll" in BACKENDS and LINUX >= (6, 4) and shutil.which("strace"), "needs epoll, Linux 6.4 and strace")
    def test_what_comes_back_is_a_system_call(self):
        laps = 20
        none, all_of_them = (self.calls("epoll", 100, 0, 0, count) for count in (0, laps))
        print(f"  100 sockets that come back, a time: {(all_of_them - none) / laps} calls", flush=True)
        self.assertLessEqual((all_of_them - none) / laps, 102)


class FailingAccept(unittest.TestCase):
    """Every accept fails with EMFILE for five seconds, in all servers at once."""

    SECONDS = 5

    def start(self, *command, backend):
        server = Program(*command, backend=backend)
        self.addCleanup(server.__exit__)
        server.name = f"{os.path.basename(command[0])} on {backend}"
        server.at = server.address()
        server.live = self.client(server)
        server.live.ask(b"before")
        return server

    def client(self, server):
        client = Client(server.at)
        self.addCleanup(client.close)
        return client

    def test_costs_next_to_nothing_and_ends_at_once(self):
        servers = [self.start(example("echo_server"), "127.0.0.1:0", backend=each) for each in BACKENDS]
        servers.append(self.start(PROGRAM, "serve", "echo", "--listen", "127.0.0.1:0", backend="epoll"))
        for server in servers:
            # Only what is traced can be injected: "-e trace=none" would switch both off.
            server.strace = Strace(self, server, "-e", "trace=accept4",
                                   "-e", "inject=accept4:error=EMFILE")
            self.addCleanup(server.strace.__exit__)
        for server in servers:
            server.busy = server.processor_seconds()
            server.waiting = [self.client(server) for _ in range(5)]
            for client in server.waiting:
                client.sendall(b"hello")

        start = time.monotonic()
        answers = 0
        while time.monotonic() - start < self.SECONDS:
            for server in servers:
                self.assertEqual(server.live.ask(b"still there?"), b"still there?")
            answers += 1
            # The pace of a quiet server: a wake-up every now and then.
            self.assertFalse(servers[0].waiting[0].answers_within(0.2), "accept fails, who answers?")
        lasted = time.monotonic() - start

        for server in servers:
            spent = server.processor_seconds() - server.busy
            failures = server.strace.detach().count("EMFILE")
            freed = time.monotonic()
            for client in server.waiting:
                self.assertEqual(client.exactly(5), b"hello")
            recovered = time.monotonic() - freed
            print(f"  {server.name}: {failures / lasted:.1f} accepts/s, {100 * spent / lasted:.3f} % of a "
                  f"processor, {answers} answers meanwhile, recovered in {recovered * 1000:.0f} ms",
                  flush=True)
            self.assertGreater(failures, 5, f"{server.name}: nothing was injected")
            self.assertLessEqual(failures / lasted, 20, server.name)
            self.assertLess(recovered, 1, server.name)
            if not SANITIZED:
                self.assertLess(spent / lasted, 0.01, server.name)


if __name__ == "__main__":
    unittest.main()
