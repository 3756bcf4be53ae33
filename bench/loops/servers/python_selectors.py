#!/usr/bin/env python3
"""Python's standard library alone: selectors.DefaultSelector, a callback in each key's data, one buffer for all
reading, recv_into and a memoryview, so that nothing is copied but what a peer does not take at once. While that is
pending, its connection is watched for writing only. Python ignores SIGPIPE from the start."""

import functools
import selectors
import socket

LISTENING_DESCRIPTOR = 3
READ_SIZE = 64 * 1024
READS_IN_A_ROW = 16

selector = selectors.DefaultSelector()
buffer = memoryview(bytearray(READ_SIZE))


def accept_all(listener):
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        except ConnectionAbortedError:
            continue
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, readable)


def end(connection):
    selector.unregister(connection)
    connection.close()


def write_now(connection, data):
    """What is left of data; raises OSError if the connection is broken."""
    try:
        return data[connection.send(data):]
    except BlockingIOError:
        return data


def readable(connection):
    for _ in range(READS_IN_A_ROW):
        try:
            got = connection.recv_into(buffer)
            if got == 0:
                end(connection)
                return
            left = write_now(connection, buffer[:got])
        except BlockingIOError:
            return
        except OSError:
            end(connection)
            return
        if left:
            pending = memoryview(bytes(left))  # the buffer is everyone's
            selector.modify(connection, selectors.EVENT_WRITE, functools.partial(writable, pending))
        if left or got < READ_SIZE:
            return


def writable(pending, connection):
    try:
        left = write_now(connection, pending)
    except OSError:
        end(connection)
        return
    if left:
        selector.modify(connection, selectors.EVENT_WRITE, functools.partial(writable, left))
    else:
        selector.modify(connection, selectors.EVENT_READ, readable)


def main():
    listener = socket.socket(fileno=LISTENING_DESCRIPTOR)
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ, accept_all)
    while True:
        for key, _ in selector.select():
            key.data(key.fileobj)


main()
