"""Downloads by libcurl on the loop, from a real nginx and from servers that misbehave."""

import contextlib
import hashlib
import os
import random
import re
import shutil
import socket
import struct
import tempfile
import threading
import unittest

from programs import PATIENCE, SANITIZED, Client, Program, example, free_port, on_every_backend, run, until

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
SIZES = (0, 1024, 1 << 20, 10 << 20)
CONFIGURATION = """
    daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
    events {{ worker_connections 1024; }}
    http {{
        log_format connections '$connection $status $uri';
        access_log {folder}/connections connections;
        client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
        uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
        keepalive_requests 100000;
        server {{ listen 127.0.0.1:{port} backlog=1024; root {folder}/files; }}
    }}
"""
SUMMARY = re.compile(r"(\d+) of (\d+) succeeded: (\d+) bytes over (\d+) connections; "
                     r"(\d+) waits, (\d+) events, (\d+) timers\n\Z")


class Nginx(Program):
    """With a directory of its own; it serves files of SIZES, each named after its size."""

    def __init__(self):
        self.folder = tempfile.mkdtemp()
        self.port = free_port()
        self.digests = {}
        os.mkdir(os.path.join(self.folder, "files"))
        for size in SIZES:
            content = random.Random(size).randbytes(size)
            self.digests[size] = hashlib.sha256(content).hexdigest()
            with open(os.path.join(self.folder, "files", str(size)), "wb") as file:
                file.write(content)
        with open(os.path.join(self.folder, "configuration"), "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(folder=self.folder, port=self.port))
        super().__init__(NGINX, "-p", self.folder, "-e", os.path.join(self.folder, "errors"),
                         "-c", os.path.join(self.folder, "configuration"))
        try:
            until(self.answers, "nginx answers")
        except AssertionError:
            self.__exit__()
            raise

    def __exit__(self, *_):
        super().__exit__()
        shutil.rmtree(self.folder)

    def answers(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.folder, "errors"), encoding="utf-8") as errors:
                self.fail(f"nginx does not start: {errors.read()}")
        with contextlib.suppress(ConnectionRefusedError), Client(("127.0.0.1", self.port)):
            return True

    def url(self, size, host="127.0.0.1"):
        return f"http://{host}:{self.port}/{size}"

    def requests(self):
        """What it has answered: [(connection, path)]."""
        with open(os.path.join(self.folder, "connections"), encoding="utf-8") as log:
            return [(line.split()[0], line.split()[2]) for line in log]


def setUpModule():
    if not NGINX:
        raise unittest.SkipTest("nginx is not installed")
    global nginx
    nginx = Nginx()
    unittest.addModuleCleanup(nginx.__exit__)


class Misbehaving:
    """A server whose every connection is handled by `behave`, and then reset, until the end of the `with`."""

    def __init__(self, behave):
        self.behave = behave
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.serve)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)  # ends the accept
        self.thread.join()
        self.listener.close()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                with peer:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.behave(self, peer)

    def at_once(self, peer):
        pass

    def in_the_middle(self, peer):
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 200_000)

    def after_a_long_silence(self, _):
        self.over.wait(PATIENCE)


@on_every_backend
class Downloads:
    def download(self, *arguments):
        """The exit code, the lines but the last, and what the last one counts."""
        ended = run(example("curl_downloads"), *map(str, arguments),
                    env={**os.environ, "SELECTORS_BACKEND": self.backend}, timeout=4 * PATIENCE)
        self.assertIn(ended.returncode, (0, 1), ended)
        self.assertEqual(ended.stderr, "")
        return ended.returncode, ended.stdout.splitlines()[:-1], self.counts(ended.stdout)

    def counts(self, output):
        """Of a program that did not spin: what is ready is told, and each wait had a reason."""
        counted = SUMMARY.search(output)
        self.assertTrue(counted, output)
        succeeded, tried, size, connections, waits, events, timers = map(int, counted.groups())
        print(f"  {self.backend}: {counted[0]}", end="", flush=True)
        self.assertLessEqual(waits, 2 * (events + timers) + 10)
        self.assertLessEqual(events + timers, 20 * tried + size // 4096)
        return succeeded, tried, size, connections, waits

    def test_a_hundred_in_parallel_bring_every_byte(self):
        with tempfile.TemporaryDirectory() as folder:
            code, lines, (succeeded, tried, size, connections, _) = self.download(
                "--count", 25, "--into", folder, *map(nginx.url, SIZES))
            self.assertEqual((code, succeeded, tried, len(lines)), (0, 100, 100, 100))
            self.assertEqual((size, connections), (25 * sum(SIZES), 100))
            for number in range(1, 101):
                with open(os.path.join(folder, str(number)), "rb") as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
                self.assertEqual(digest, nginx.digests[SIZES[(number - 1) // 25]], number)

    def test_connections_are_kept_for_the_next(self):
        before = len(nginx.requests())
        code, _, (succeeded, tried, size, connections, _) = self.download(
            "--count", 300, "--connections", 20, nginx.url(1024))
        self.assertEqual((code, succeeded, tried, size), (0, 300, 300, 300 * 1024))
        self.assertLessEqual(connections, 20)
        until(lambda: len(nginx.requests()) == before + 300, "nginx has noted all requests")
        self.assertLessEqual(len({connection for connection, _ in nginx.requests()[before:]}), 20)

    def test_a_name_is_resolved_beside_the_loop(self):
        # libcurl's resolver is a thread that tells through a pair of sockets, which it closes.
        code, lines, _ = self.download("--count", 10, nginx.url(1024, "localhost"))
        self.assertEqual(code, 0, lines)

    def fails(self, url, *options, count=10):
        """Each of `count` downloads, and none of the others; returns the count of waits."""
        code, lines, (succeeded, tried, _, _, waits) = self.download(
            *options, "--count", count, url, nginx.url(1 << 20))
        self.assertEqual((code, succeeded, tried), (1, count, 2 * count), lines)
        for line in lines:
            self.assertEqual(line.endswith(": done"), str(nginx.port) in line, line)
        return waits

    def test_a_reset_in_the_middle_fails_alone(self):
        with Misbehaving(Misbehaving.in_the_middle) as server:
            self.fails(server.url)

    def test_a_reset_before_the_answer_fails_alone(self):
        with Misbehaving(Misbehaving.at_once) as server:
            self.fails(server.url)

    def test_a_refused_connection_fails_alone(self):
        self.fails(f"http://127.0.0.1:{free_port()}/")

    def test_a_missing_file_is_a_failure(self):
        code, lines, _ = self.download(nginx.url("nothing"))
        self.assertEqual(code, 1)
        self.assertRegex(lines[0], r"^404 .*: refused$")

    def test_a_server_that_never_answers_is_given_up_without_a_spin(self):
        with Misbehaving(Misbehaving.after_a_long_silence) as server:
            code, lines, (_, _, _, _, waits) = self.download("--timeout", 300, "--count", 10, server.url)
            self.assertEqual(code, 1)
            for line in lines:
                took = re.fullmatch(r"  0 +0 bytes +([\d.]+) ms  .*: Timeout was reached", line)
                self.assertTrue(took, line)
                self.assertGreaterEqual(float(took[1]), 299)
            self.assertLess(waits, 100)

    def test_a_file_that_cannot_be_written_is_said(self):
        ended = run(example("curl_downloads"), "--into", "/nowhere", nginx.url(0))
        self.assertEqual(ended.returncode, 2)
        self.assertIn("/nowhere/1 cannot be written", ended.stderr)

    @unittest.skipIf(SANITIZED, "a sanitizer looks for leaks, which nobody can who is traced")
    @unittest.skipUnless(shutil.which("strace"), "needs strace")
    def test_every_descriptor_is_closed_and_every_wait_needed(self):
        with tempfile.NamedTemporaryFile("r") as log:
            with Misbehaving(Misbehaving.in_the_middle) as server:
                ended = run("strace", "-f", "-o", log.name, example("curl_downloads"), "--count", "25",
                            server.url, *map(nginx.url, SIZES),
                            env={**os.environ, "SELECTORS_BACKEND": self.backend}, timeout=4 * PATIENCE)
            self.assertEqual(ended.returncode, 1, ended)
            calls = re.findall(r"(?m)^\d+ +(\w+)\((.*)\) += (\d+)", log.read())
        opened = set()
        waits = 0
        for name, arguments, outcome in calls:
            if name in ("socketpair", "pipe2"):
                opened |= set(re.search(r"\[(\d+), (\d+)\]", arguments).groups())
            elif name in ("openat", "socket", "eventfd2", "epoll_create1", "io_uring_setup", "dup", "dup3"):
                opened.add(outcome)
            elif name == "close":
                opened.discard(arguments)
            elif name in ("epoll_wait", "epoll_pwait2", "io_uring_enter", "ppoll", "pselect6"):
                waits += 1
        self.assertEqual(opened, set())
        self.counts(ended.stdout)
        print(f"  {self.backend}: {waits} calls that wait", flush=True)
        self.assertGreater(waits, 0)
        self.assertLess(waits, 1000)


class Arguments(unittest.TestCase):
    def test_help(self):
        ended = run(example("curl_downloads"), "--help")
        self.assertEqual(ended.returncode, 0)
        self.assertIn("--connections N", ended.stdout)

    def test_nonsense_is_refused(self):
        for arguments in ([], ["--count"], ["--count", "many", "http://x"], ["--count", "0", "http://x"],
                          ["--colour", "red"]):
            ended = run(example("curl_downloads"), *arguments)
            self.assertEqual(ended.returncode, 2, ended)
            self.assertRegex(ended.stderr, r"^curl_downloads: .+\n$")


if __name__ == "__main__":
    unittest.main()
