"""`selectors talk`: the terminal and the socket at the same time."""

import os
import random
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import unittest

from programs import PATIENCE, PROGRAM, Program, free_port, on_every_backend, run


@on_every_backend
class Talk:
    def setUp(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        self.listener.settimeout(PATIENCE)

    def talk(self, **options):
        where = f"127.0.0.1:{self.listener.getsockname()[1]}"
        program = Program(PROGRAM, "talk", where, backend=self.backend, **options)
        self.addCleanup(program.__exit__)
        peer = self.listener.accept()[0]
        self.addCleanup(peer.close)
        peer.settimeout(PATIENCE)
        return program, peer

    def test_lines_go_both_ways_as_they_come(self):
        program, peer = self.talk(stdin=subprocess.PIPE)
        peer.sendall(b"who are you?\n")
        self.assertEqual(program.line(), "who are you?")
        program.process.stdin.write(b"a line\n")
        program.process.stdin.flush()
        self.assertEqual(peer.recv(100), b"a line\n")
        peer.sendall(b"and another\n")
        self.assertEqual(program.line(), "and another")
        program.process.stdin.close()
        self.assertEqual(peer.recv(100), b"", "the end of stdin is passed on")
        peer.sendall(b"the rest")
        peer.close()
        self.assertEqual(program.rest(), b"the rest")
        self.assertEqual(program.exit_code(), 0)
        self.assertEqual(program.stderr(), "")

    def test_at_a_terminal(self):
        program, peer = self.talk(terminal=True)
        keyboard = program.output
        os.write(keyboard, b"hello\n")
        self.assertEqual(program.line(), "hello")  # the terminal's own echo
        self.assertEqual(peer.recv(100), b"hello\n")
        peer.sendall(b"good day\n")
        self.assertEqual(program.line(), "good day")
        os.write(keyboard, termios.tcgetattr(keyboard)[6][termios.VEOF])
        self.assertEqual(peer.recv(100), b"")
        peer.sendall(b"good bye\n")
        self.assertEqual(program.line(), "good bye")
        peer.close()
        self.assertEqual(program.exit_code(), 0)

    def test_much_from_a_file_to_a_slow_peer_and_back(self):
        data = random.Random(7342).randbytes(3_000_000)
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.seek(0)
            program, peer = self.talk(stdin=file)
            self.assertTrue(program.silent(0.1))  # the peer reads nothing yet
            received = b""
            while piece := peer.recv(10_000):
                received += piece
            self.assertEqual(received, data)
            peer.sendall(b"thanks")
            peer.close()
            self.assertEqual(program.rest(), b"thanks")
            self.assertEqual(program.exit_code(), 0)

    def test_much_from_the_peer(self):
        data = random.Random(7342).randbytes(3_000_000)
        program, peer = self.talk()
        with peer:
            sender = threading.Thread(target=lambda: (peer.sendall(data), peer.shutdown(socket.SHUT_WR)))
            sender.start()
            self.assertEqual(program.rest(), data)
            sender.join()
        self.assertEqual(program.exit_code(), 0)

    def test_the_peer_ends_first(self):
        program, peer = self.talk(stdin=subprocess.PIPE)
        peer.sendall(b"closing time\n")
        peer.close()
        self.assertEqual(program.rest(), b"closing time\n")
        self.assertEqual(program.exit_code(), 0)

    def test_a_reset_is_a_sentence_and_1(self):
        program, peer = self.talk(stdin=subprocess.PIPE)
        peer.sendall(b"listen\n")
        self.assertEqual(program.line(), "listen")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        self.assertEqual(program.exit_code(), 1)
        self.assertEqual(program.stderr(), "selectors: the connection broke: Connection reset by peer\n")


class CannotTalk(unittest.TestCase):
    def test_nobody_there_is_a_sentence_and_1(self):
        for where in (f"127.0.0.1:{free_port()}", f"localhost:{free_port()}", "/no/such.sock"):
            ended = run(PROGRAM, "talk", where)
            self.assertEqual(ended.returncode, 1)
            self.assertEqual(ended.stdout, "")
            self.assertRegex(ended.stderr, rf"^selectors: cannot connect to {where}: [^\n]+\n$")


if __name__ == "__main__":
    unittest.main()
