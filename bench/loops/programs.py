"""How the programs of the house are found, started, and understood."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent


class Failed(Exception):
    """A round came to nothing; its text says why."""


class Missing(Exception):
    """A program is not there; its text says why."""


def program(build, directory, contestant):
    """The path of its program in servers/ or contestants/; Missing if it was not built."""
    if contestant.program.endswith(".py"):
        path = HERE / directory / contestant.program
    else:
        path = pathlib.Path(build) / "bench" / "loops" / directory / contestant.program
    if not path.exists():
        raise Missing(f"{contestant.name} has nothing in {directory}")
    return path


def load_program(build):
    return pathlib.Path(build) / "bench" / "loops" / "load"


def two_cores():
    """For server and load: of those that this process may have, two that share no more than they must. None if there is but one."""
    allowed = sorted(os.sched_getaffinity(0))

    def siblings(core):
        path = pathlib.Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        listed = path.read_text().strip() if path.exists() else str(core)
        ranges = [part.split("-") for part in listed.split(",")]
        return {each for ends in ranges for each in range(int(ends[0]), int(ends[-1]) + 1)}
    others = [core for core in allowed[1:] if core not in siblings(allowed[0])] or allowed[1:]
    return (allowed[0], others[0]) if others else None


def on_core(core, command):
    return ["taskset", "-c", str(core), *map(str, command)] if core is not None else [*map(str, command)]


def spoken(command, environment=None, timeout=60):
    """The one line of JSON that the command says."""
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment, timeout=timeout)
    if ended.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))} ended with {ended.returncode}: {ended.stderr.strip()}")
    return json.loads(ended.stdout)


def built_with(build):
    """{"compiler", "build", "libraries": {name: version, or nothing if it is not here}}, as CMake found them."""
    return json.loads((pathlib.Path(build) / "bench" / "loops" / "versions.json").read_text())


def flags(options):
    return [str(word) for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]


class Server:
    """An echo server of the house, on a free port; ended with this."""

    def __init__(self, build, contestant, core=None, under=()):
        """`under`: a program that watches over it, as valgrind and strace do."""
        command = on_core(core, [*under, *self.command(build, contestant)])
        with socket.socket() as listener:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.bind(("127.0.0.1", 0))
            listener.listen(4096)
            listener.setblocking(False)
            self.port = listener.getsockname()[1]
            self.pid = os.posix_spawnp(command[0], command, contestant.environment, setpgroup=0,
                                       file_actions=[(os.POSIX_SPAWN_DUP2, listener.fileno(), 3)])

    @staticmethod
    def command(build, contestant):
        path = program(build, "servers", contestant)
        return [sys.executable, path] if path.suffix == ".py" else [path]

    def __enter__(self):
        return self

    def end(self, gently=False):
        """Gently: what watches over it has to say something first."""
        if self.pid is None:
            return
        if gently:
            os.kill(self.pid, signal.SIGTERM)
            for _ in range(100):
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    self.pid = None
                    return
                # valgrind hears signals between two system calls, and does not know io_uring's to be one that waits.
                with contextlib.suppress(OSError):
                    self.connect().close()
                time.sleep(0.05)
        os.killpg(self.pid, signal.SIGKILL)  # and what it watches over
        os.waitpid(self.pid, 0)
        self.pid = None

    def __exit__(self, *_):
        self.end()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


def offered(build, contestant):
    """What it plays inside one process."""
    try:
        listed = subprocess.run([program(build, "contestants", contestant)], capture_output=True, text=True,
                                env=contestant.environment, timeout=20)
    except Missing:
        return set()
    return set(listed.stdout.split()) if listed.returncode == 0 else set()
