"""Every program of the README and of the documents is compiled, run, and talked to.

    test_snippets.py COMPILER SOURCE_DIRECTORY FLAGS...

A comment before each block says what it must do: prints "...", echoes, compiles, or compiles with libcurl, where it is
there. The port in the text is replaced by a free one.
"""
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest

COMPILER, SOURCE, FLAGS = sys.argv[1], sys.argv[2], sys.argv[3:]
BLOCK = re.compile(r"(?:<!-- check: (?P<check>[^>]*) -->\n)?```cpp\n(?P<code>.*?)```", re.S)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(port, server):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and server.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise AssertionError("the program does not listen")


def has_header(name):
    return subprocess.run([COMPILER, "-x", "c++", "-fsyntax-only", "-"], input=f"#include <{name}>\n", text=True,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


class Snippets(unittest.TestCase):
    def check(self, check, code):
        self.assertIsNotNone(check, "a block without <!-- check: ... --> before it:\n" + code)
        port = free_port()
        with tempfile.TemporaryDirectory() as folder:
            source, program = os.path.join(folder, "snippet.cpp"), os.path.join(folder, "snippet")
            with open(source, "w", encoding="utf-8") as out:
                out.write(code.replace("7342", str(port)))
            libraries = []
            if check == "compiles with libcurl":
                if not has_header("curl/curl.h"):
                    self.skipTest("libcurl is not installed")
                libraries = ["-I" + os.path.join(SOURCE, "examples"), "-lcurl"]
            subprocess.run([COMPILER, "-std=c++23", "-Wall", "-Wextra", "-Wno-unused-variable", "-Werror", source,
                            "-o", program, *FLAGS, *libraries], check=True)
            if check.startswith("compiles"):
                return
            server = subprocess.Popen(["stdbuf", "-oL", program], stdout=subprocess.PIPE, text=True)
            try:
                self.talk(check, port, server)
            finally:
                server.kill()
                server.communicate()

    def talk(self, check, port, server):
        with connect(port, server) as first, connect(port, server) if check == "echoes" else first as second:
            if check == "echoes":
                for client in (second, first, second):
                    client.sendall(b"hello\n")
                    self.assertEqual(client.makefile().readline(), "hello\n")
                return
            wanted = re.fullmatch(r'prints "(.*)"', check)
            self.assertIsNotNone(wanted, "unknown check: " + check)
            lines = []
            while wanted[1] not in lines:
                line = server.stdout.readline()
                self.assertTrue(line, f"{wanted[1]!r} was not printed, but {lines}")
                lines.append(line.strip())


def add_tests(document):
    with open(os.path.join(SOURCE, document), encoding="utf-8") as text:
        blocks = list(BLOCK.finditer(text.read()))
    assert blocks, document
    for number, block in enumerate(blocks, 1):
        name = "test_" + re.sub(r"\W", "_", document) + f"_{number}"
        setattr(Snippets, name, lambda self, b=block: self.check(b["check"], b["code"]))


for document in ("README.md", "docs/tutorial.md", "docs/foreign.md"):
    add_tests(document)
unittest.main(argv=["test_snippets.py", "-v"])
