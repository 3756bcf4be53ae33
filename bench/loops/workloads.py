"""What is played: each workload's cells, from the few of `make bench` to all of `make bench-full`."""

import dataclasses
import json
import os
import pathlib
import subprocess
import tempfile
import time

import counts
from programs import HERE, Failed, Missing, Server, flags, load_program, on_core, program, spoken, two_cores

SERVER_CORE, LOAD_CORE = two_cores() or (None, None)


@dataclasses.dataclass(frozen=True)
class Figure:
    name: str     # in the output of the program that measures it
    meaning: str
    unit: str
    ranks: bool = True  # less is better, and decides

    @property
    def heading(self):
        return f"{self.meaning}, {self.unit}" if self.unit else self.meaning


@dataclasses.dataclass(frozen=True)
class Cell:
    workload: "Workload"
    title: str
    size: int            # descriptors of one side: who cannot have so many sits out
    options: dict        # of the program that measures it
    short: bool = False  # also in `make bench`
    rounds: float = 1    # times the usual number: more where one is short, fewer where one is long


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    about: str
    figures: tuple
    play: object  # (build, contestant, cell) -> {figure: value}
    served: bool = False         # wants an echo server; else the contestant's program says whether it plays it
    on_each_mechanism: bool = True  # else ours plays it on one: what it measures is above them


# --- inside one process ----------------------------------------------------------------------------------------------


def inside(build, contestant, cell, core=LOAD_CORE):
    path = program(build, "contestants", contestant)
    return spoken(on_core(core, [path, cell.workload.name, *flags(cell.options)]), contestant.environment)


def between_threads(build, contestant, cell):
    return inside(build, contestant, cell, core=None)


# --- beside a server -------------------------------------------------------------------------------------------------


def load(build, server, what, options):
    command = [load_program(build), what, "--port", server.port, "--pid", server.pid, *flags(options)]
    return spoken(on_core(LOAD_CORE, command))


def spoken_to(build, contestant, cell):
    with Server(build, contestant, SERVER_CORE) as server:
        return load(build, server, "churn" if cell.workload.name == "churn" else "echo", cell.options)


def memory(build, contestant, cell):
    with Server(build, contestant, SERVER_CORE) as server:
        return load(build, server, "memory", cell.options)


# --- compiling -------------------------------------------------------------------------------------------------------


def libraries_of(binary):
    """The shared libraries that it brings with it, without those that every C++ program has."""
    listed = subprocess.run(["ldd", binary], check=True, capture_output=True, text=True).stdout
    paths = [pathlib.Path(line.split("=>")[1].split()[0]) for line in listed.splitlines() if "=>" in line]
    return [path for path in paths if not path.name.startswith(("libc.", "libm.", "libstdc++.", "libgcc_s.", "libpthread."))]


def compiled(build, contestant, cell):
    """As CMake compiles it, from its own record, but without the warnings."""
    if contestant.program.endswith(".py"):
        raise Missing(f"{contestant.name} is not compiled")
    source = HERE / "servers" / f"{contestant.program}.cpp"
    record = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
    command = next(each["command"] for each in record if pathlib.Path(each["file"]).resolve() == source.resolve())
    words = [word for word in command.split() if not word.startswith("-W")]
    at = words.index("-o")
    words[at:at + 2] = []

    def run(*more):
        return subprocess.run([*words, *more], check=True, cwd=build, capture_output=True, timeout=120).stdout
    start = time.monotonic()
    run("-o", "/dev/null")
    seconds = time.monotonic() - start
    lines = run("-E", "-P", "-o", "-").count(b"\n")
    with tempfile.NamedTemporaryFile() as stripped:
        binary = program(build, "servers", contestant)
        subprocess.run(["strip", "-o", stripped.name, binary], check=True)
        size = os.path.getsize(stripped.name) + sum(map(os.path.getsize, libraries_of(binary)))
        return {"seconds": seconds, "lines": lines, "kilobytes": size / 1024}


# --- all of them -----------------------------------------------------------------------------------------------------

CPU = Figure("cpu_ns", "CPU", "ns")
SPOKEN = (Figure("cpu_ns", "server's CPU", "ns"), Figure("busy", "of its core", "", False), Figure("per_second", "a second", "", False),
          Figure("p50_us", "p50", "us", False), Figure("p99_us", "p99", "us", False),
          Figure("p999_us", "p99.9", "us", False))

RING = Workload("ring", "N socket pairs in a ring, A tokens going round: CPU of passing one on", (CPU,), inside)
ECHO = Workload("echo", "an echo server over the loopback: its CPU a message, seen from outside", SPOKEN, spoken_to, served=True)
CHURN = Workload("churn", "connect, one message there and back, close: the server's CPU a connection", SPOKEN, spoken_to, served=True)
CTL = Workload("ctl", "sockets added, widened to writing, removed, a look after each; and widened and narrowed before a look",
               (Figure("change_ns", "a change", "ns"), Figure("back_ns", "there and back", "ns")), inside)
TIMERS = Workload("timers", "a timer armed, armed anew, pushed out, cancelled, and fired, among many; pushing out and cancelling with what they leave for later",
                  (Figure("arm_ns", "arm", "ns"), Figure("rearm_ns", "re-arm", "ns"), Figure("push_out_ns", "push out", "ns"),
                   Figure("cancel_ns", "cancel", "ns"), Figure("fire_ns", "fire", "ns")), inside, on_each_mechanism=False)
POST = Workload("post", "numbers handed to a loop by other threads, and how long one takes to wake it",
                (Figure("threads_1_cpu_ns", "1 thread, CPU", "ns"), Figure("threads_1_wall_ns", "1 thread, wall", "ns"),
                 Figure("threads_8_cpu_ns", "8 threads, CPU", "ns"), Figure("threads_8_wall_ns", "8 threads, wall", "ns"),
                 Figure("wake_ns", "wake", "ns"), Figure("wake_p99_ns", "wake, p99", "ns", False)), between_threads, on_each_mechanism=False)
IDLE = Workload("idle", "one connection speaks, the others are silent: the server's CPU a message", SPOKEN, spoken_to, served=True)
MEMORY = Workload("memory", "user-space memory of a connection that has spoken once",
                  (Figure("bytes", "a connection", "bytes"),), memory, served=True)
COMPILE = Workload("compile", "its echo server as CMake compiles it",
                   (Figure("seconds", "time", "s"), Figure("lines", "preprocessed lines", ""),
                    Figure("kilobytes", "stripped binary and its shared libraries", "KB", False)), compiled, served=True, on_each_mechanism=False)


def counted(build, contestant, cell):
    told = {}
    for name, count, tool in (("ring_instructions", counts.ring, "valgrind"), ("ring_calls", counts.ring, "strace"),
                              ("echo_instructions", counts.echo, "valgrind"), ("echo_calls", counts.echo, "strace")):
        try:
            told[name] = count(tool, build, contestant)
        except (Missing, Failed, counts.Uncounted, subprocess.SubprocessError):
            pass  # valgrind does not know every request of io_uring
    return told


COUNTED = Workload("counted", "user-space instructions and system calls of an event of the ring (1,000 pairs, 100 tokens) and of a "
                   "message of the echo server (1 connection)",
                   (Figure("ring_instructions", "ring, instructions", ""), Figure("ring_calls", "ring, system calls", ""),
                    Figure("echo_instructions", "echo, instructions", ""), Figure("echo_calls", "echo, system calls", "")), counted, served=True)


def ring(pairs, active, short=False):
    # A round of who looks at all of them is as long as that makes it.
    writes = max(10_000, 20 * active) if active > 1 else 5_000  # at the end the tokens are read, and not passed on
    return Cell(RING, f"{pairs:,} pairs, {active:,} active", 2 * pairs, {"count": pairs, "active": active, "writes": writes},
                short, 3 if active < 1_000 else 1)


def echo(connections, size, in_flight, short=False):
    return Cell(ECHO, f"{connections:,} connection{'s' * (connections > 1)}, {size:,} bytes, {in_flight} in flight", connections,
                {"connections": connections, "size": size, "in_flight": in_flight}, short)


CELLS = (
    *(ring(pairs, active, (pairs, active) in ((100, 1), (1000, 100), (8000, 100)))
      for pairs in (100, 1000, 8000) for active in sorted({1, 100, pairs})),
    *(echo(connections, size, in_flight, (connections, size, in_flight) in
           ((1, 64, 1), (50, 64, 1), (1000, 64, 1), (50, 64, 16), (50, 16384, 1)))
      for size in (64, 16384) for in_flight in (1, 16) for connections in (1, 50, 1000, 8000)),
    Cell(CHURN, "32 at a time", 32, {"connections": 32, "size": 64}, True, 2),
    Cell(CTL, "1,000 sockets", 2000, {"count": 1000, "laps": 5}, True, 3),
    Cell(TIMERS, "100,000 timers", 0, {"count": 100_000, "laps": 1}, True),
    Cell(TIMERS, "1,000,000 timers", 0, {"count": 1_000_000, "laps": 1}, False, 0.9),
    Cell(POST, "200,000 posts", 0, {"count": 200_000, "single": 500}, True),
    Cell(IDLE, "1 active of 11", 11, {"connections": 1, "idle": 10}, True),
    Cell(IDLE, "1 active of 9,001", 9001, {"connections": 1, "idle": 9000}, True),
    Cell(MEMORY, "5,000 connections", 5000, {"connections": 5000}, True, 0.9),
    Cell(COMPILE, "GCC", 0, {}, True, 0.9),
    Cell(COUNTED, "by callgrind and strace", 2000, {}, True, 0.01),
)
