#!/usr/bin/env python3
"""bagselectors beside the standard library's EpollSelector: what a select, a change, and a request of asyncio cost.

    PYTHONPATH=build/release/python bench/python_selectors.py [--rounds N] [--descriptors N]

All take turns, one round each; what counts is the CPU of the process, medians, and the quartiles of the ratios of the
same round. 20,000 descriptors have to be allowed (ulimit -n 20000).
"""

import argparse
import asyncio
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import time

import bagselectors

HERE = {name for name, there, _ in bagselectors.backends() if there}
CONTESTANTS = {"standard": selectors.EpollSelector, "epoll": bagselectors.EpollBag}
if "uring" in HERE:
    CONTESTANTS["uring"] = bagselectors.UringBag


def row(what, found, unit, budget=0):
    """The medians of all, and the ratio standard : ours on epoll."""
    ratios = sorted(a / b for a, b in zip(found["standard"], found["epoll"]))
    middle = statistics.median(ratios)
    verdict = f">= {budget:g} {'ok' if middle >= budget else 'MISSED'}" if budget else ""
    print(f"{what:<36} " + "  ".join(f"{name} {statistics.median(times):8.2f} {unit}" for name, times in found.items()) +
          f"  ratio {middle:.2f} ({ratios[len(ratios) // 4]:.2f} .. {ratios[len(ratios) * 3 // 4]:.2f})  {verdict}", flush=True)


def cpu_of(work, times):
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times * 1e6


def rounds_of(rounds, bags, work, times):
    found = {name: [] for name in bags}
    for _ in range(rounds):
        for name, bag in bags.items():
            found[name].append(cpu_of(lambda: work(bag), times))
    return found


def selects(rounds, descriptors):
    pairs = [socket.socketpair() for _ in range((descriptors - 100) // 2)]
    ends = [end for pair in pairs for end in pair]
    bags = {name: make() for name, make in CONTESTANTS.items()}
    for bag in bags.values():
        for end in ends:
            bag.register(end, selectors.EVENT_READ)
    for ready in (1, 100, 1000):
        for a, _ in pairs[:ready]:
            a.send(b"x")
        row(f"select, {ready} of {len(ends)} ready", rounds_of(rounds, bags, lambda bag: bag.select(0), max(20, 20_000 // ready)),
            "us", 3 if ready == 100 else 0)
        for _, b in pairs[:ready]:
            b.recv(10)
    for bag in bags.values():
        bag.close()
    for end in ends:
        end.close()


def changes(rounds):
    a, _ = ends = socket.socketpair()
    bags = {name: make() for name, make in CONTESTANTS.items()}

    def in_and_out(bag):
        bag.register(a, selectors.EVENT_READ)
        bag.unregister(a)

    def in_select_and_out(bag):
        bag.register(a, selectors.EVENT_READ)
        bag.select(0)
        bag.unregister(a)

    def modify(bag):
        bag.modify(a, selectors.EVENT_WRITE)
        bag.modify(a, selectors.EVENT_READ)

    row("register, unregister", rounds_of(rounds, bags, in_and_out, 5000), "us", 2)
    row("register, select, unregister", rounds_of(rounds, bags, in_select_and_out, 5000), "us")
    for bag in bags.values():
        bag.register(a, selectors.EVENT_READ)
    row("two modifies", rounds_of(rounds, bags, modify, 5000), "us")
    for bag in bags.values():
        bag.close()
    for end in ends:
        end.close()


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def serve():
    """Serves until its input ends; then says how much CPU that took."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    before = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, flush=True)


def ask(port, connections, requests):
    """Requests of 64 bytes over all connections, each when the one before was answered. Returns the seconds."""
    bag = bagselectors.DefaultSelector()
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    start = time.monotonic()
    for client in clients:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bag.register(client, selectors.EVENT_READ)
        client.send(b"x" * 64)
    left = requests
    while left > 0:
        for key, _ in bag.select():
            key.fileobj.recv(64)
            key.fileobj.send(b"x" * 64)
            left -= 1
    seconds = time.monotonic() - start
    for client in clients:
        client.close()
    return seconds


def echoes(rounds, connections, requests):
    cpu, rate = ({name: [] for name in CONTESTANTS} for _ in range(2))
    for _ in range(rounds):
        for name in CONTESTANTS:
            server = subprocess.Popen([sys.executable, __file__, "--serve", name], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
            seconds = ask(int(server.stdout.readline()), connections, requests)
            cpu[name].append(float(server.communicate()[0]) / requests * 1e6)
            rate[name].append(seconds / requests * 1e6)
    row(f"asyncio echo, {connections} connections, CPU", cpu, "us")
    row("the same, time a request", rate, "us")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--descriptors", type=int, default=10_000)
    options.add_argument("--serve", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.serve:
        loop = asyncio.SelectorEventLoop(CONTESTANTS[given.serve]())
        return loop.run_until_complete(serve())
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    selects(given.rounds, given.descriptors)
    changes(given.rounds)
    for connections in (1, 100):
        echoes(max(3, given.rounds // 3), connections, 20_000)


main()
