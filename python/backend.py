"""Builds the wheel of bagselectors (PEP 517): CMake compiles it from the checkout that this directory is in.

    pip install ./python
    pip wheel --no-deps ./python
"""

import base64
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent


def _version():
    header = (SOURCE / "include" / "selectors" / "version.hpp").read_text()
    return ".".join(re.search(rf"SELECTORS_VERSION_{part} (\d+)", header)[1] for part in ("MAJOR", "MINOR", "PATCH"))


def _run(*command):
    subprocess.run([str(word) for word in command], check=True)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    version = _version()
    interpreter = f"cp{sys.version_info.major}{sys.version_info.minor}"
    tag = f"{interpreter}-{interpreter}-{re.sub('[-.]', '_', sysconfig.get_platform())}"
    name = f"bagselectors-{version}-{tag}.whl"
    with tempfile.TemporaryDirectory() as build:
        _run("cmake", "-S", SOURCE, "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DSELECTORS_APPS=OFF",
             "-DSELECTORS_EXAMPLES=OFF", "-DSELECTORS_INSTALL=OFF", "-DSELECTORS_PYTHON=ON",
             f"-DPython3_EXECUTABLE={sys.executable}")
        _run("cmake", "--build", build, "--target", "bagselectors", "--parallel", os.cpu_count() or 1)
        package = pathlib.Path(build) / "python" / "bagselectors"
        files = {f"bagselectors/{file.name}": file.read_bytes() for file in sorted(package.iterdir()) if file.is_file()}
    information = f"bagselectors-{version}.dist-info"
    files[f"{information}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: bagselectors\nVersion: {version}\nRequires-Python: >=3.10\n"
        "Summary: Python's selectors on a bag of sockets\n").encode()
    files[f"{information}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: bagselectors\nRoot-Is-Purelib: false\nTag: {tag}\n").encode()
    record = ""
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(content)}\n"
    files[f"{information}/RECORD"] = f"{record}{information}/RECORD,,\n".encode()
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
    return name


def build_sdist(sdist_directory, config_settings=None):
    raise RuntimeError("bagselectors is built from a checkout of the library, of which it is a part: pip install ./python")
