"""The wheel builds, and imports in a fresh virtual environment, without network.

    test_wheel.py DIRECTORY             where pyproject.toml is
"""

import os
import subprocess
import sys
import tempfile
import venv

with tempfile.TemporaryDirectory() as room:
    venv.create(os.path.join(room, "fresh"), with_pip=True)
    python = os.path.join(room, "fresh", "bin", "python")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for command in (["-m", "pip", "wheel", "-q", "--no-index", "--no-deps", "-w", room, sys.argv[1]],
                    ["-m", "pip", "install", "-q", "--no-index", "--find-links", room, "bagselectors"],
                    ["-c", "import bagselectors as b; s = b.DefaultSelector(); print(s.backend, s.select(0), b.__file__)"]):
        subprocess.run([python, *command], check=True, env=environment, cwd=room)
