"""The program's command line: what it says, and that every wrong word is a sentence and exit code 2."""

import os
import socket
import tempfile
import unittest

from programs import ALL_BACKENDS, BACKENDS, WITHOUT_URING, PROGRAM, Program, free_port, run


class CommandLine(unittest.TestCase):
    def test_help_and_version(self):
        shown = run(PROGRAM, "--help")
        self.assertEqual(shown.returncode, 0)
        for command in ("serve", "talk", "backends"):
            self.assertIn(command, shown.stdout)
        shown = run(PROGRAM, "serve", "--help")
        self.assertEqual(shown.returncode, 0)
        for word in ("echo, chat, factorial, discard, chargen", "--listen", "127.0.0.1:7342", "--backend",
                     "--max-connections", "10000", "--idle-timeout", "10m", "--grace", "5s"):
            self.assertIn(word, shown.stdout)
        shown = run(PROGRAM, "--version")
        self.assertEqual(shown.returncode, 0)
        self.assertRegex(shown.stdout, r"^selectors \d+\.\d+\.\d+\n$")

    def test_backends_says_what_there_is_and_why_it_is_chosen(self):
        shown = run(PROGRAM, "backends", env={})
        self.assertEqual(shown.returncode, 0)
        self.assertRegex(shown.stdout, r"(?m)^\* epoll ")
        self.assertIn("epoll is chosen, for it is the first of these", shown.stdout)
        for backend in BACKENDS:
            shown = run(PROGRAM, "backends", env={"SELECTORS_BACKEND": backend})
            self.assertEqual(shown.returncode, 0)
            self.assertRegex(shown.stdout, rf"(?m)^\* {backend} ")
            self.assertIn(f"{backend} is chosen, for SELECTORS_BACKEND names it", shown.stdout)

    def test_backends_tells_what_each_offers(self):
        shown = run(PROGRAM, "backends", "--verbose", env={})
        self.assertEqual(shown.returncode, 0)
        epoll = shown.stdout.split("* epoll")[1].split("\n  poll")[0]
        for line in ("triggers     level, oneshot, edge, exclusive\n", "priority     yes\n",
                     "time         nanoseconds, rounded up\n", "descriptors  as many as fs.epoll.max_user_watches"):
            self.assertIn(line, epoll)

    def test_a_backend_that_the_system_refuses(self):
        if not WITHOUT_URING:
            self.skipTest("there is nothing here that forbids io_uring")
        shown = run(WITHOUT_URING, PROGRAM, "backends", env={"SELECTORS_BACKEND": "uring"})
        self.assertEqual(shown.returncode, 0)
        self.assertRegex(shown.stdout, r"(?m)^  uring +not here: .*forbidden by a sandbox")
        self.assertIn("epoll is chosen, for the system refuses what SELECTORS_BACKEND names", shown.stdout)
        ended = run(WITHOUT_URING, PROGRAM, "serve", "echo", "--backend", "uring")
        self.assertEqual(ended.returncode, 2)
        self.assertRegex(ended.stderr, r"^selectors: [^\n]*uring is not here[^\n]*--backend\n$")

    def refused(self, *arguments, says, **options):
        ended = run(PROGRAM, *arguments, **options)
        self.assertEqual(ended.returncode, 2, ended)
        self.assertEqual(ended.stdout, "")
        self.assertRegex(ended.stderr, r"^selectors: [^\n]+\n$")
        for each in says:
            self.assertIn(each, ended.stderr)

    def test_wrong_words(self):
        self.refused(says=["subcommand is required", "--help"])
        self.refused("frobnicate", says=['"frobnicate"', "serve, talk or backends"])
        self.refused("--frobnicate", says=["--help"])
        self.refused("serve", says=["service is required", "--help"])
        self.refused("serve", "gopher", says=['"gopher"', "echo, chat, factorial, discard, chargen"])
        self.refused("serve", "echo", "extra", says=["extra", "--help"])
        self.refused("serve", "echo", "--frobnicate", says=["--frobnicate", "--help"])
        self.refused("talk", says=["address is required", "--help"])

    def test_wrong_backends(self):
        self.refused("serve", "echo", "--backend", "kevent", says=['"kevent"', ", ".join(ALL_BACKENDS)])
        self.refused("serve", "echo", env={"SELECTORS_BACKEND": "kevent"},
                     says=["SELECTORS_BACKEND", '"kevent"', ", ".join(ALL_BACKENDS)])
        self.refused("backends", env={"SELECTORS_BACKEND": "kevent"}, says=['"kevent"'])

    def test_wrong_numbers(self):
        for wrong in ("5", "s", "five", "5d", "-5s", "5s5s", "nan s", "infs", "1e3s", "99999999h", "5 s"):
            self.refused("serve", "echo", "--idle-timeout=" + wrong, "--listen", "127.0.0.1:0",
                         says=["--idle-timeout", f'"{wrong}"', "500ms, 30s, 5m or 2h"])
        self.refused("serve", "echo", "--grace", "soon", says=["--grace", '"soon"'])
        for wrong in ("0", "-1", "many", "1000001"):
            self.refused("serve", "echo", "--max-connections=" + wrong, says=["--max-connections", wrong])

    def test_wrong_addresses(self):
        for wrong, says in (("127.0.0.1", "port is missing"), ("127.0.0.1:", "port is missing"),
                            ("127.0.0.1:65536", "0 to 65535"), ("127.0.0.1:http", "0 to 65535"),
                            ("[::1:80", "bracket"), ("x" * 300 + ":1", "254"),
                            ("/" + "x" * 200, "107")):
            self.refused("serve", "echo", "--listen", wrong, says=[wrong, says])
            self.refused("talk", wrong, says=[wrong, says])
        self.refused("serve", "echo", "--listen", "", says=["empty"])
        # TEST-NET-1 (RFC 5737) is nobody's.
        self.refused("serve", "echo", "--listen", "192.0.2.1:0", says=["192.0.2.1", "none of this machine's"])
        self.refused("serve", "echo", "--listen", "/no/such/directory/x.sock",
                     says=["/no/such/directory/x.sock", "directory"])

    def test_a_taken_port(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            where = f"127.0.0.1:{taken.getsockname()[1]}"
            self.refused("serve", "echo", "--listen", where, says=[where, "choose another address"])
        port = free_port()
        self.refused("serve", "echo", "--listen", f"127.0.0.1:{port}", "--listen", f"127.0.0.1:{port}",
                     says=[f"127.0.0.1:{port}", "choose another address"])

    def test_a_taken_path_but_not_a_stale_one(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "s")
            with socket.socket(socket.AF_UNIX) as taken:
                taken.bind(path)
                taken.listen()
                self.refused("serve", "echo", "--listen", path, says=[path, "choose another address"])
            with Program(PROGRAM, "serve", "echo", "--listen", path) as server:
                self.assertEqual(server.line(), f"listening on {path}")

    def test_no_permission(self):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o555)
            path = os.path.join(directory, "s")
            options = {"user": 65534} if os.geteuid() == 0 else {}
            try:
                self.refused("serve", "echo", "--listen", path, says=[path, "--listen"], **options)
            except PermissionError as unreachable:
                self.skipTest(f"no other user may run the program: {unreachable}")


if __name__ == "__main__":
    unittest.main()
