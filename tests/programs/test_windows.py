"""The programs built for Windows, run by wine: they talk to each other, and to Linux over loopback."""

import os
import re
import signal
import socket
import subprocess
import unittest

PATIENCE = 30.0
EMULATOR = os.environ["SELECTORS_EMULATOR"]
EXAMPLES = os.environ["SELECTORS_EXAMPLES"]
PROGRAM = os.environ["SELECTORS_PROGRAM"]


class Windows(unittest.TestCase):
    def start(self, program, *arguments):
        process = subprocess.Popen([EMULATOR, program, *arguments], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def example(self, name, *arguments):
        return self.start(os.path.join(EXAMPLES, name + ".exe"), *arguments)

    def port_of(self, process):
        line = process.stdout.readline()
        self.assertRegex(line, r"listening on 127[.]0[.]0[.]1:\d+")
        return int(re.search(r":(\d+)", line)[1])

    def connect(self, port):
        peer = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.addCleanup(peer.close)
        return peer, peer.makefile("rw", newline="\n")

    def talk(self, port, text):
        spoken = subprocess.run([EMULATOR, PROGRAM, "talk", f"127.0.0.1:{port}"], input=text, text=True,
                                capture_output=True, timeout=PATIENCE)
        self.assertEqual(spoken.returncode, 0, spoken.stderr)
        return spoken.stdout

    def test_backends_are_listed(self):
        listed = subprocess.run([EMULATOR, PROGRAM, "backends"], capture_output=True, text=True,
                                timeout=PATIENCE)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertRegex(listed.stdout, r"[*] afd +any number of sockets")

    def test_serve_and_talk_on_windows_and_on_linux(self):
        server = self.start(PROGRAM, "serve", "echo", "--listen", "127.0.0.1:0")
        port = self.port_of(server)
        self.assertEqual(self.talk(port, "from one window\n"), "from one window\n")
        peer, stream = self.connect(port)
        for number in range(100):
            stream.write(f"line {number}\n")
            stream.flush()
            self.assertEqual(stream.readline(), f"line {number}\n")
        peer.shutdown(socket.SHUT_WR)
        self.assertEqual(stream.readline(), "")
        server.send_signal(signal.SIGINT)
        said, _ = server.communicate(timeout=PATIENCE)
        self.assertIn("stopping", said)
        self.assertIn("served 2 connections", said)
        self.assertIn("nothing was cut off", said)
        self.assertEqual(server.returncode, 0)

    def test_talk_says_that_nobody_is_there(self):
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            port = reserved.getsockname()[1]
            spoken = subprocess.run([EMULATOR, PROGRAM, "talk", f"127.0.0.1:{port}"], text=True,
                                    stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
        self.assertEqual(spoken.returncode, 1)
        self.assertIn("connection refused; is a server running there?", spoken.stderr)

    def test_the_servers_of_the_examples_answer(self):
        for name, said, answer in (("echo_server", "hello\n", "hello"), ("factorial_server", "5\n", "5! = 120")):
            with self.subTest(name):
                _, stream = self.connect(self.port_of(self.example(name, "127.0.0.1:0")))
                stream.write(said)
                stream.flush()
                self.assertTrue(stream.readline().startswith(answer))

    def test_the_chat_tells_everybody(self):
        port = self.port_of(self.example("chat_server", "127.0.0.1:0"))
        _, first = self.connect(port)
        _, second = self.connect(port)
        second.write("hello, all\n")
        second.flush()
        line = first.readline()
        while "hello, all" not in line:
            self.assertNotEqual(line, "")
            line = first.readline()

    def test_datagrams_come_back(self):
        port = self.port_of(self.example("udp_echo", "127.0.0.1:0"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(PATIENCE)
            peer.sendto(b"ping", ("127.0.0.1", port))
            self.assertEqual(peer.recv(100), b"ping")


if __name__ == "__main__":
    unittest.main()
