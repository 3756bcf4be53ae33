"""The UDP echo: every datagram goes back, whole, to where it came from."""

import socket
import unittest

from programs import PATIENCE, Program, example, on_every_backend


@on_every_backend
class UdpEcho:
    def test_datagrams_come_back_to_their_senders(self):
        with Program(example("udp_echo"), "127.0.0.1:0", backend=self.backend) as server:
            address = server.address()
            senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
            for sender in senders:
                self.addCleanup(sender.close)
                sender.settimeout(PATIENCE)
            for size in (0, 1, 1400, 60_000):
                for number, sender in enumerate(senders):
                    sender.sendto(bytes([number]) * size, address)
                    self.assertEqual(sender.recvfrom(65536), (bytes([number]) * size, address))
            # And all at once.
            for number, sender in enumerate(senders):
                sender.sendto(b"%d" % number, address)
            for number, sender in enumerate(senders):
                self.assertEqual(sender.recv(65536), b"%d" % number)


if __name__ == "__main__":
    unittest.main()
