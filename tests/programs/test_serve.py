"""`selectors serve`: its services, its limits, and how it ends."""

import os
import re
import resource
import signal
import socket
import tempfile
import time
import unittest

from programs import (PROGRAM, SANITIZED, Client, Program, WithClients, free_port, on_every_backend, run,
                      until)

TOTALS = (r"^served (\d+) connections?, (\d+) bytes? in, (\d+) bytes? out(?:, (\d+) closed for being idle)?; "
          r"(?:nothing was cut off|cut off (\d+) connections? with (\d+) bytes? unsent); ran for \S+ s$")


class Serving(WithClients):
    backend = None

    def serve(self, service, *options, listen=("127.0.0.1:0",), **more):
        where = [word for each in listen for word in ("--listen", each)]
        self.server = Program(PROGRAM, "serve", service, *where, *options, backend=self.backend, **more)
        self.addCleanup(self.server.__exit__)
        self.address = self.server.address() if listen == ("127.0.0.1:0",) else None

    def stop(self):
        self.server.send_signal(signal.SIGTERM)
        self.assertTrue(self.server.line().startswith("stopping: what is in flight has "))

    def totals(self):
        """What it says it did, once it has ended with 0."""
        said = self.server.line()
        self.assertRegex(said, TOTALS)
        self.assertEqual(self.server.exit_code(), 0)
        self.assertEqual(self.server.stderr(), "")
        served, bytes_in, bytes_out, idle, cut, unsent = (
            int(each or 0) for each in re.match(TOTALS, said).groups())
        return {"served": served, "in": bytes_in, "out": bytes_out, "idle": idle, "cut": cut, "unsent": unsent}


@on_every_backend
class Services(Serving):
    def test_echo_says_what_it_did(self):
        self.serve("echo")
        for number in range(3):
            with self.client() as client:
                self.assertEqual(client.ask(b"x" * 1000), b"x" * 1000)
                client.shutdown(socket.SHUT_WR)
                self.assertEqual(client.to_the_end(), b"")
        self.stop()
        self.assertEqual(self.totals(),
                         {"served": 3, "in": 3000, "out": 3000, "idle": 0, "cut": 0, "unsent": 0})

    def test_discard_takes_everything_and_says_nothing(self):
        self.serve("discard")
        client = self.client()
        client.sendall(b"x" * 5_000_000)
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(client.to_the_end(), b"")
        self.stop()
        self.assertEqual(self.totals()["in"], 5_000_000)

    def test_chargen_speaks_as_long_as_it_is_read(self):
        self.serve("chargen")
        printable = "".join(map(chr, range(32, 127)))
        client = self.client()
        client.sendall(b"this is not listened to")
        for line in range(2000):
            start = line % 95
            self.assertEqual(client.line(), (printable * 2)[start:start + 72] + "\r")
        # Who does not read costs neither memory nor time.
        memory = self.server.memory()
        silent = self.client(receive_buffer=8192)
        self.assertTrue(silent.answers_within(5))
        client.close()
        busy = self.server.processor_seconds()
        self.assertTrue(self.server.silent(0.3))
        self.assertLess(self.server.processor_seconds() - busy, 0.05)
        if not SANITIZED:
            self.assertLess(self.server.memory() - memory, 1_000_000)
        silent.close()
        self.stop()
        self.assertEqual(self.totals()["cut"], 0)

    def test_a_stop_loses_nobody_who_had_connected(self):
        self.serve("echo")
        # While the process stands still the kernel goes on taking connections for it.
        self.server.send_signal(signal.SIGSTOP)
        clients = [self.client() for _ in range(200)]
        for client in clients:
            client.sendall(b"hello")
        self.server.send_signal(signal.SIGTERM)
        self.server.send_signal(signal.SIGCONT)
        for client in clients:
            self.assertEqual(client.to_the_end(), b"hello")
        self.assertTrue(self.server.line().startswith("stopping"))
        self.assertEqual(self.totals()["served"], 200)
        with self.assertRaises(ConnectionRefusedError):
            self.client()

    def test_a_stop_finishes_what_is_in_flight(self):
        self.serve("echo")
        quiet = self.client()
        quiet.ask(b"hello")
        slow = self.client(receive_buffer=8192)
        sent = slow.send_until_full()
        self.stop()
        self.assertEqual(quiet.to_the_end(), b"", "a connection with nothing in flight is closed")
        self.assertEqual(len(slow.to_the_end()), sent)
        self.assertEqual(self.totals()["cut"], 0)

    def test_the_grace_has_an_end(self):
        self.serve("echo", "--grace", "300ms")
        stuck = self.client(receive_buffer=8192)
        stuck.send_until_full()
        start = time.monotonic()
        self.stop()
        totals = self.totals()
        self.assertGreaterEqual(time.monotonic() - start, 0.3)
        self.assertLess(time.monotonic() - start, 2)
        self.assertEqual(totals["cut"], 1)
        self.assertGreater(totals["unsent"], 0)

    def test_a_second_signal_ends_at_once(self):
        self.serve("echo", "--grace", "1h")
        stuck = self.client(receive_buffer=8192)
        stuck.send_until_full()
        self.server.send_signal(signal.SIGINT)
        self.assertTrue(self.server.line().startswith("stopping: what is in flight has 3600 s"))
        self.server.send_signal(signal.SIGINT)
        self.assertEqual(self.totals()["cut"], 1)

    def test_idle_connections_are_closed_and_busy_ones_are_not(self):
        self.serve("echo", "--idle-timeout", "1s")
        busy, idle = self.client(), self.client()
        idle.ask(b"once")
        start = time.monotonic()
        while not idle.answers_within(0.05):
            busy.ask(b"ping")
            self.assertLess(time.monotonic() - start, 5, "the idle connection is still open")
        self.assertEqual(idle.to_the_end(), b"")
        self.assertGreaterEqual(time.monotonic() - start, 0.95)
        busy.ask(b"ping")
        self.assertEqual(busy.to_the_end(), b"", "and then this one, too")
        self.stop()
        self.assertEqual(self.totals()["idle"], 2)

    def test_a_peer_that_does_not_read_is_idle(self):
        self.serve("echo", "--idle-timeout", "1s")
        stuck = self.client(receive_buffer=8192)
        stuck.ask(b"hello")
        descriptors = self.server.descriptors()
        stuck.send_until_full()
        until(lambda: self.server.descriptors() < descriptors, "the stuck connection is closed")
        self.stop()
        self.assertEqual(self.totals()["idle"], 1)

    def test_at_most_so_many_connections(self):
        self.serve("echo", "--max-connections", "2")
        first, second = self.client(), self.client()
        first.ask(b"1")
        second.ask(b"2")
        third, fourth = self.client(), self.client()
        third.sendall(b"3")
        fourth.sendall(b"4")
        self.assertFalse(third.answers_within(0.15))
        busy = self.server.processor_seconds()
        first.close()
        self.assertEqual(third.exactly(1), b"3")
        self.assertFalse(fourth.answers_within(0.15))
        self.assertLess(self.server.processor_seconds() - busy, 0.1, "waiting must not cost time")
        self.assertEqual(second.ask(b"2"), b"2")
        self.stop()
        self.assertEqual(fourth.exactly(1), b"4", "who had connected is served before the end")
        self.assertEqual(self.totals()["served"], 4)

    @unittest.skipIf(SANITIZED, "UBSan opens a pipe to look at an object, and takes a failure for a bad object")
    def test_no_descriptors_left(self):
        # Standard streams, bag, waker and listener leave room for some thirty.
        limit = (40, 40)
        self.serve("echo", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit))
        clients = [self.client() for _ in range(60)]
        for client in clients:
            client.sendall(b"?")
        answered = [client for client in clients[:30] if client.exactly(1) == b"?"]
        self.assertEqual(len(answered), 30)
        until(self.server.stderr, "it says that new connections wait")
        self.assertRegex(self.server.stderr(), r"^selectors: new connections wait, .*: Too many open files\n$")
        for client in answered:
            client.close()
        for client in clients[30:]:
            self.assertEqual(client.exactly(1), b"?")

    def test_listens_at_several_places(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "echo.sock")
            self.serve("echo", listen=("127.0.0.1:0", path, "[::1]:0", "localhost:0"))
            addresses = [self.server.address()]
            self.assertEqual(self.server.line(), f"listening on {path}")
            addresses += [self.server.address(), self.server.address()]
            for address in addresses:
                with Client(address) as client:
                    self.assertEqual(client.ask(b"hello"), b"hello")
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(b"hello")
                self.assertEqual(client.recv(100), b"hello")
            self.stop()
            self.assertEqual(self.totals()["served"], 4)
            self.assertEqual(os.listdir(directory), [], "it should take its socket away")


class OnOneBackend(Serving, unittest.TestCase):
    def test_a_stop_hears_all_who_have_spoken(self):
        self.serve("echo")
        clients = [self.client() for _ in range(2500)]  # more than one select reports
        for client in clients:
            client.ask(b"hello")
        self.server.send_signal(signal.SIGSTOP)
        for client in clients:
            client.sendall(b"again")
        self.server.send_signal(signal.SIGTERM)
        # Long enough for all of them to look as if they had nothing more to say.
        self.assertFalse(clients[0].answers_within(0.3))
        self.server.send_signal(signal.SIGCONT)
        for client in clients:
            self.assertEqual(client.to_the_end(), b"again")
        self.assertTrue(self.server.line().startswith("stopping"))
        self.assertEqual(self.totals()["in"], 10 * len(clients))

    def test_the_option_is_stronger_than_the_environment(self):
        for option, self.backend in (("epoll", "select"), ("poll", "epoll")):
            self.serve("echo", "--backend", option)
            descriptors = f"/proc/{self.server.pid}/fd"
            opened = {os.readlink(os.path.join(descriptors, each)) for each in os.listdir(descriptors)}
            self.assertEqual("anon_inode:[eventpoll]" in opened, option == "epoll")

    def test_a_closed_stdout_is_no_connections(self):
        # Without care the first connection would be descriptor 1, and read what the server prints.
        port = free_port()
        script = f'exec "$0" serve echo --listen 127.0.0.1:{port} <&- >&- 2>&-'
        server = Program("/bin/sh", "-c", script, PROGRAM)
        self.addCleanup(server.__exit__)
        self.address = ("127.0.0.1", port)

        def answers():
            try:
                with self.client() as client:
                    return client.ask(b"hello") == b"hello"
            except ConnectionRefusedError:
                return False
        until(answers, "it answers")
        for each in range(3):
            self.assertEqual(os.readlink(f"/proc/{server.pid}/fd/{each}"), "/dev/null")
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.exit_code(), 0)

    def test_talk_is_served(self):
        self.serve("factorial")
        host, port = self.address
        said = run(PROGRAM, "talk", f"{host}:{port}", input="5\n", stdin=None)
        self.assertEqual((said.returncode, said.stderr), (0, ""))
        self.assertTrue(said.stdout.startswith("5! = 120;"))


if __name__ == "__main__":
    unittest.main()
