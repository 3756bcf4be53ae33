"""The chat: lines go to all others, whole; who does not read is dropped."""

import socket
import unittest

from programs import PROGRAM, SANITIZED, Client, Program, example, on_every_backend, until


class Room:
    """What the example and the program's service have in common."""

    def setUp(self):
        self.server = Program(*self.command, backend=self.backend)
        self.addCleanup(self.server.__exit__)
        self.address = self.server.address()
        self.descriptors = self.server.descriptors()

    def guest(self, **options):
        guest = Client(self.address, **options)
        self.addCleanup(guest.close)
        self.assertTrue(guest.line().startswith("*** welcome, you are guest "))
        return guest

    def test_everybody_reads_what_the_others_write(self):
        first = self.guest()
        second = self.guest()
        self.assertEqual(first.line(), "*** guest 2 has come")
        third = self.guest()
        self.assertEqual(first.line(), "*** guest 3 has come")
        self.assertEqual(second.line(), "*** guest 3 has come")
        first.sendall(b"hello")
        first.sendall(b" all\r\n\nand\nhow are")  # one line in two pieces, an empty one, one and a half
        for other in (second, third):
            self.assertEqual(other.line(), "guest 1: hello all")
            self.assertEqual(other.line(), "guest 1: and")
        first.sendall(b" you?\n")
        self.assertEqual(second.line(), "guest 1: how are you?")
        second.sendall(b"fine\n")
        # Nobody hears himself: the next that the first one reads is the answer.
        self.assertEqual(first.line(), "guest 2: fine")
        self.assertEqual(third.line(), "guest 1: how are you?")
        self.assertEqual(third.line(), "guest 2: fine")
        second.close()
        for other in (first, third):
            self.assertEqual(other.line(), "*** guest 2 has left")
        third.reset()
        self.assertEqual(first.line(), "*** guest 3 has left")
        first.close()
        until(lambda: self.server.descriptors() == self.descriptors, "all descriptors are back")

    def talk_until_told(self, talker, listener):
        """The others go on talking and reading until they are told that the slow one is gone."""
        def say_one_more():
            talker.sendall(b"x" * 1000 + b"\n")
            heard = listener.line()
            return heard if heard.startswith("***") else None
        return until(say_one_more, "the slow guest is dropped", pause=0)

    def test_a_slow_guest_is_dropped_and_the_others_go_on(self):
        self.guest(receive_buffer=4096)
        talker = self.guest()
        listener = self.guest()
        before = self.server.memory()
        heard = self.talk_until_told(talker, listener)
        self.assertIn("guest 1", heard)
        if not SANITIZED:
            self.assertLess(self.server.memory() - before, 2_000_000)
        # The talker has been told, too, between what it wrote itself.
        talker.unread = b""
        listener.sendall(b"now then\n")
        until(lambda: talker.line() == "guest 3: now then", "the others still hear each other", pause=0)


@on_every_backend
class ChatExample(Room):
    @property
    def command(self):
        return example("chat_server"), "127.0.0.1:0"

    def test_a_long_line_is_cut_in_two(self):
        first, second = self.guest(), self.guest()
        first.sendall(b"y" * 1500 + b"\n")
        self.assertEqual(second.line(), "guest 1: " + "y" * 1024)
        self.assertEqual(second.line(), "guest 1: " + "y" * 476)


@on_every_backend
class ChatService(Room):
    command = (PROGRAM, "serve", "chat", "--listen", "127.0.0.1:0")

    def test_the_slow_guest_is_told_in_the_end(self):
        slow = self.guest(receive_buffer=4096)
        talker, listener = self.guest(), self.guest()

        # It is told while it may still read, so the others do not hear of it yet: no more than what
        # the sockets hold and the queue may hold is said.
        line = b"x" * 1000 + b"\n"
        for _ in range(9000):
            talker.sendall(line)
            listener.line()
        lines = slow.to_the_end().decode().splitlines()
        self.assertEqual(lines[-1], "*** you read too slowly for this room; good bye")
        self.assertTrue(all(len(each) == len(lines[5]) for each in lines[5:-1]),
                        "every line before the last words should be whole")

    def test_a_long_line_is_refused_with_a_sentence(self):
        first, second = self.guest(), self.guest()
        self.assertEqual(first.line(), "*** guest 2 has come")
        first.sendall(b"z" * 5000 + b"\nshort\n")
        self.assertEqual(first.line(), "*** that line is longer than 1024 characters and was not passed on")
        self.assertEqual(second.line(), "guest 1: short")
        first.sendall(b"the last words")
        first.shutdown(socket.SHUT_WR)
        self.assertEqual(second.line(), "guest 1: the last words")
        self.assertEqual(second.line(), "*** guest 1 has left")


if __name__ == "__main__":
    unittest.main()
