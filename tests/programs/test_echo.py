"""The echo server: every byte comes back, whatever the peer does, in bounded memory."""

import contextlib
import hashlib
import random
import socket
import unittest

from programs import SANITIZED, Program, WithClients, example, on_every_backend, until


@on_every_backend
class EchoServer(WithClients):
    def setUp(self):
        self.server = Program(example("echo_server"), "127.0.0.1:0", backend=self.backend)
        self.addCleanup(self.server.__exit__)
        self.address = self.server.address()
        self.descriptors = self.server.descriptors()

    def all_descriptors_are_back(self):
        until(lambda: self.server.descriptors() == self.descriptors,
              f"the server has its {self.descriptors} descriptors of the start again")

    def test_echoes_and_closes_after_a_half_close(self):
        client = self.client()
        self.assertEqual(client.ask(b"hello"), b"hello")
        client.sendall(b"good bye")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(client.to_the_end(), b"good bye")
        self.all_descriptors_are_back()

    def test_ten_megabytes_come_back_whole_through_a_slow_reader(self):
        data = random.Random(7342).randbytes(10_000_000)
        client = self.client(receive_buffer=8192)
        # Not a byte is read before the server takes no more: everything between is full.
        sent = client.send_until_full(data[:65536])
        self.assertLess(sent, len(data), "the server should stop reading from who does not read")
        expected = hashlib.sha256((data[:65536] * (sent // 65536 + 1))[:sent] + data)
        received = hashlib.sha256()
        left, count = memoryview(data), 0
        client.setblocking(False)
        while count < sent + len(data):
            with contextlib.suppress(BlockingIOError):
                if left:
                    left = left[client.send(left[:16384]):]
            with contextlib.suppress(BlockingIOError):
                piece = client.recv(5000)  # less than what is sent, and at odds with every buffer
                received.update(piece)
                count += len(piece)
                self.assertTrue(piece, f"closed after {count} bytes")
        self.assertEqual(received.hexdigest(), expected.hexdigest())

    def test_a_half_close_with_much_unread_loses_nothing(self):
        client = self.client(receive_buffer=8192)
        sent = client.send_until_full()
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(len(client.to_the_end()), sent)
        self.all_descriptors_are_back()

    @unittest.skipIf(SANITIZED, "the memory of a sanitizer is not the server's")
    def test_peers_that_never_read_cost_one_buffer_each(self):
        live = self.client()
        live.ask(b"warm up")
        before = self.server.memory()
        peers = [self.client() for _ in range(10)]
        for peer in peers:
            self.assertGreater(peer.send_until_full(quiet=0.05), 0)
        grown = self.server.memory() - before
        self.assertLess(grown, len(peers) * 2 * 65536 + 512 * 1024)
        self.assertEqual(live.ask(b"still there?"), b"still there?")

    def test_resets_in_the_midst_of_it_harm_nobody_else(self):
        live = self.client()
        for full in (False, True):
            for _ in range(20):
                peer = self.client()
                if full:
                    peer.send_until_full(quiet=0.01)
                peer.reset()
                self.assertEqual(live.ask(b"ping"), b"ping")
        live.close()
        self.all_descriptors_are_back()

    def test_a_thousand_connections(self):
        clients = [self.client() for _ in range(1000)]
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number)
        for number, client in enumerate(clients):
            self.assertEqual(client.exactly(len(b"%d" % number)), b"%d" % number)
        self.assertEqual(self.server.descriptors(), self.descriptors + 1000)
        for client in clients:
            client.close()
        self.all_descriptors_are_back()


class BadInput(unittest.TestCase):
    def test_a_taken_port_is_a_sentence_and_2(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for name in ("echo_server", "chat_server", "factorial_server"):
                with Program(example(name), f"127.0.0.1:{port}") as server:
                    self.assertEqual(server.exit_code(), 2)
                    self.assertIn(f"{name}: ", server.stderr())
                    self.assertIn(f"127.0.0.1:{port}", server.stderr())


if __name__ == "__main__":
    unittest.main()
