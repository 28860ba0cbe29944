# SPDX-License-Identifier: MIT
"""Fixtures of the freezing tests: small libraries made by real linkers, and freezes of small programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wr_nvidia_k8s.freeze import parts
from wr_nvidia_k8s.freeze.freezer import configuration
from wr_nvidia_k8s.freeze.parts import ARCHES, Arch

LIBRARY = Path(__file__).resolve().parents[2] / "meta-wr-nvidia-k8s" / "lib"
# A program of almost nothing, so that a freeze takes few seconds. encodings imports most of these.
SMALL = [
    *("_codecs_cn", "_codecs_hk", "_codecs_iso2022", "_codecs_jp", "_codecs_kr", "_codecs_tw", "_multibytecodec"),
    *("bz2", "lzma", "zipfile", "inspect", "email", "ssl", "subprocess", "unittest", "argparse", "gettext", "socket"),
    *("_bootsubprocess", "asyncio", "pydoc", "tempfile", "shutil", "urllib", "http", "xml", "multiprocessing"),
]


def gcc(arch: Arch) -> str:
    command = f"{arch.triplet}-gcc"
    if shutil.which(command) is None:
        pytest.skip(f"{command}: apt-get install {' '.join(arch.toolchain)}")
    return command


@pytest.fixture
def library(tmp_path: Path) -> Callable[..., Path]:
    """Make a shared library of one architecture: library("liba.so.1", needs=[path], flags=[...])."""

    def make(name: str, arch: str = "arm64", needs: list[Path] | None = None, flags: list[str] | None = None,
             folder: Path | None = None, source: str = "") -> Path:
        path = (folder or tmp_path / "libraries") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [gcc(ARCHES[arch]), "-shared", "-fPIC", "-nostdlib", f"-Wl,-soname,{name}", "-Wl,--no-as-needed"]
        command += ["-Wl,--allow-shlib-undefined", *(flags or []), "-x", "c", "-", "-x", "none", *map(str, needs or [])]
        subprocess.run([*command, "-o", path], input=source, text=True, check=True)
        return path

    return make


@dataclass
class Frozen:
    """What became of a freeze. log: what PyInstaller said."""

    config: dict[str, Any]
    status: int
    error: str

    @property
    def result(self) -> Path:
        return Path(self.config["output"], self.config["name"])

    @property
    def log(self) -> str:
        return (Path(self.config["work"]) / "pyinstaller.log").read_text()


@pytest.fixture
def freezer(tmp_path: Path) -> Callable[..., Frozen]:
    """Freeze a program given as text: freezer("arm64", "print(1)", excludes=[...]); other keys are the configuration's.

    modules: where its modules are, beside those of the plugin's dependencies.
    """

    def run(arch: str, program: str, modules: Path | None = None, library_path: Path = LIBRARY, **keys: Any) -> Frozen:
        gcc(ARCHES[arch])
        folder = Path(tempfile.mkdtemp(prefix="freeze-", dir=tmp_path))
        script = folder / "program.py"
        script.write_text(program)
        config = configuration(ARCHES[arch], folder / "output", folder)
        config.update(settings="", name="program", script=str(script), python_path=[str(modules)] if modules else [])
        config.update(excludes=SMALL, build_paths=[str(folder)])
        config.update(keys)
        file = folder / "config.json"
        file.write_text(json.dumps(config))
        done = subprocess.run(
            [parts.python(), "-B", "-m", "pyinstaller_cross", file],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(library_path)}, capture_output=True, text=True,
        )  # fmt: skip
        return Frozen(config, done.returncode, done.stderr)

    return run


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder with a short name: pytest's tmp_path can be too long for a socket's path."""
    path = Path(tempfile.mkdtemp(prefix="frz-"))
    yield path
    shutil.rmtree(path)
