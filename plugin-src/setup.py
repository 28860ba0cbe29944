# SPDX-License-Identifier: MIT
"""Adds one step to the build: the message classes are generated from proto/ by the protoc at hand.

Generated code is bound to the protobuf release that made it, so it is never committed. protoc is taken
from $PROTOC, else from grpcio-tools (pip builds), else from PATH (BitBake's protobuf-native).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

from setuptools import Command, setup
from setuptools.command.build_py import build_py

SOURCE = Path(__file__).resolve().parent
PACKAGE = "nvidia_device_plugin"


def protoc_command() -> list[str]:
    """The compiler to run, as an argument list."""
    if os.environ.get("PROTOC"):
        return [os.environ["PROTOC"]]
    try:
        import grpc_tools.protoc  # noqa: F401
    except ImportError:
        found = shutil.which("protoc")
        if not found:
            sys.exit("error: expected protoc as $PROTOC, in grpcio-tools or on PATH, found none; "
                     "install grpcio-tools or protobuf-compiler")
        return [found]
    return [sys.executable, "-m", "grpc_tools.protoc"]


def generate(output: Path) -> None:
    """Write the message classes (and, where this protoc can, their type stubs) into the folder `output`.

    Each file is replaced as a whole, and only by another content: who imports them meanwhile sees one or the other.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".protoc-", dir=output) as scratch:
        command = [*protoc_command(), f"--proto_path={SOURCE / 'proto'}", f"--python_out={scratch}"]
        source = str(SOURCE / "proto" / "deviceplugin_v1beta1.proto")
        # --pyi_out came with protoc 3.20; the stubs serve type checkers only.
        if subprocess.run([*command, f"--pyi_out={scratch}", source], stderr=subprocess.DEVNULL).returncode:
            subprocess.run([*command, source], check=True)
        for made in Path(scratch).iterdir():
            there = output / made.name
            if not there.exists() or there.read_bytes() != made.read_bytes():
                made.replace(there)


class BuildPy(build_py):
    """build_py that adds the generated module to what is built."""

    def run(self) -> None:
        super().run()
        generate(Path(self.build_lib) / PACKAGE)


class Protoc(Command):
    """Generate the message classes into the source tree, to run the plugin without installing it."""

    description = "generate the message classes in place"
    user_options: ClassVar[list[tuple[str, str, str]]] = []

    def initialize_options(self) -> None:
        pass

    def finalize_options(self) -> None:
        pass

    def run(self) -> None:
        generate(SOURCE / PACKAGE)


setup(cmdclass={"build_py": BuildPy, "protoc": Protoc})
