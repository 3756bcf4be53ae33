"""What is counted rather than timed, and so the same in every run: user-space instructions, by callgrind, and system calls, by
strace. Everything is played at two lengths, and the difference divided by what lies between: setting up is not in it."""

import os
import pathlib
import re
import subprocess
import tempfile

from programs import Failed, Server, flags, load_program, program, spoken


class Uncounted(Exception):
    """The tool said nothing of what it counted."""


def watched_by(tool, log):
    if tool == "valgrind":
        return ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log}"]
    return ["strace", "-I2", "-f", "-c", "-U", "calls,name", "-o", log]  # -I2: it can be ended


def told(tool, log):
    text = pathlib.Path(log).read_text()
    found = re.search(r"Collected\s*:\s*(\d+)" if tool == "valgrind" else r"^\s*(\d+)\s+total$", text, re.MULTILINE)
    if not found:
        raise Uncounted(f"{tool} counted nothing: {text[-300:]}")
    return int(found[1])


def bare(path, directory):
    """Without debug information, at which valgrind 3.19 may stumble."""
    if path.suffix == ".py":
        return path
    copy = pathlib.Path(directory) / path.name
    subprocess.run(["strip", "-g", "-o", copy, path], check=True)
    return copy


def inside(tool, build, contestant, workload, options, few, many):
    """Per pass of the ring, and so on: `few` and `many` are (options, operations)."""
    with tempfile.TemporaryDirectory() as directory:
        one = bare(program(build, "contestants", contestant), directory)
        counts = []
        for more, _ in (few, many):
            log = os.path.join(directory, "log")
            command = [*watched_by(tool, log), one, workload, "--counted", *flags({**options, **more})]
            ended = subprocess.run(command, capture_output=True, text=True, env=contestant.environment, timeout=300)
            if ended.returncode != 0:
                raise Failed(f"{contestant.name}, {workload} under {tool}: {ended.stderr.strip()}")
            counts.append(told(tool, log))
        return (counts[1] - counts[0]) / (many[1] - few[1])


def served(tool, build, contestant, options, few, many):
    """Per message of an echo server."""
    counts = []
    with tempfile.TemporaryDirectory() as directory:
        log = os.path.join(directory, "log")
        for messages in (few, many):
            with Server(build, contestant, under=watched_by(tool, log)) as server:
                spoken([load_program(build), "echo", "--port", server.port, "--pid", server.pid, "--messages", messages, *flags(options)])
                server.end(gently=True)
            counts.append(told(tool, log))
    return (counts[1] - counts[0]) / (many - few)


RING = {"count": 1000, "active": 100}


def ring(tool, build, contestant, options=RING):
    return inside(tool, build, contestant, "ring", options, ({"writes": 2000}, 2000), ({"writes": 12000}, 12000))


def echo(tool, build, contestant):
    return served(tool, build, contestant, {"connections": 1, "size": 64}, 500, 2500)
