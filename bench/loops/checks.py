"""Whether an echo server is one: nobody is measured before it has shown this."""

import hashlib
import os
import select
import socket
import struct
import threading
import time

from programs import Server


class Wrong(Exception):
    """The server does something else than server.hpp says."""


def receive(connection, into, size=None):
    """Hashes what comes, to the end or that many bytes; returns how many it was."""
    count = 0
    while size is None or count < size:
        got = connection.recv(1 << 16 if size is None else min(1 << 16, size - count))
        if not got:
            break
        into.update(got)
        count += len(got)
    return count


def comes_back(server, size, half_close):
    """All of it, and after a half close the end as well."""
    data = os.urandom(size)
    with server.connect() as connection:
        def speak():
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        speaker = threading.Thread(target=speak)
        speaker.start()
        seen = hashlib.sha256()
        count = receive(connection, seen, None if half_close else size)
        speaker.join()
    if count != size or seen.digest() != hashlib.sha256(data).digest():
        raise Wrong(f"of {size} bytes {count} came back, {'the same' if count == size else 'not all'} of them")


def private_memory(pid):
    with open(f"/proc/{pid}/smaps_rollup") as maps:
        return next(int(line.split()[1]) * 1024 for line in maps if line.startswith("Anonymous:"))


def stubborn_peer_is_held_back(server):
    """Who does not read is not read from; others are served meanwhile; what was taken comes back."""
    before = private_memory(server.pid)
    chunk = os.urandom(1 << 20)
    sent = hashlib.sha256()
    count = 0
    with server.connect() as stubborn, server.connect() as other:
        stubborn.setblocking(False)
        while select.select([], [stubborn], [], 0.5)[1]:
            try:
                size = stubborn.send(chunk)
            except BlockingIOError:
                continue
            sent.update(chunk[:size])
            count += size
            if count > 256 << 20:
                raise Wrong("a peer that does not read can send for ever")
        grown = private_memory(server.pid) - before
        if grown > 4 << 20:
            raise Wrong(f"a peer that does not read costs {grown >> 20} MB")
        start = time.monotonic()
        other.sendall(b"still here?")
        if receive(other, hashlib.sha256(), 11) != 11 or time.monotonic() - start > 1:
            raise Wrong("a peer that does not read keeps others waiting")
        stubborn.settimeout(20)
        stubborn.shutdown(socket.SHUT_WR)
        seen = hashlib.sha256()
        if receive(stubborn, seen) != count or seen.digest() != sent.digest():
            raise Wrong("what a peer had not read in time did not come back whole")


def resets_are_survived(server):
    """In the middle of everything, and without a descriptor left behind."""
    def descriptors():
        return len(os.listdir(f"/proc/{server.pid}/fd"))
    before = descriptors()
    for _ in range(100):
        with server.connect() as connection:
            connection.setblocking(False)
            try:
                connection.send(bytes(1 << 20))
            except BlockingIOError:
                pass
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end = time.monotonic() + 5
    while descriptors() > before and time.monotonic() < end:
        time.sleep(0.01)
    if descriptors() > before:
        raise Wrong(f"{descriptors() - before} descriptors are left of 100 connections that were reset")


def check(build, contestant):
    """Raises Wrong, or what the sockets raise."""
    with Server(build, contestant) as server:
        comes_back(server, 1 << 20, False)
        comes_back(server, 10 << 20, False)
        comes_back(server, 10 << 20, True)
        stubborn_peer_is_held_back(server)
        resets_are_survived(server)
        comes_back(server, 1 << 20, True)
