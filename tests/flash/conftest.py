# SPDX-License-Identifier: MIT
"""Fixtures of the flash tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flash.places import MIB, Loop, Place, need, run


@pytest.fixture
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="flash-"))
    folder.chmod(0o755)
    yield Place(folder)
    shutil.rmtree(folder)


@pytest.fixture
def loop(place: Place) -> Iterator[Callable[..., Loop]]:
    """Makes loop devices of some MiB; ``noise`` makes what was there before recognizable, ``read_only`` says itself."""
    if os.geteuid():
        pytest.skip("loop devices: run as root")
    need("losetup", "sgdisk", "partprobe")
    made: list[Loop] = []

    def make(size: int = 40, *, noise: bool = True, read_only: bool = False) -> Loop:
        file = place.folder / f"disk{len(made)}"
        with file.open("wb") as disk:
            if noise:
                for _ in range(size):
                    disk.write(os.urandom(MIB))
            disk.truncate(size * MIB)
        try:
            name = run("losetup", "--find", "--show", "--partscan", *(["--read-only"] if read_only else []), file)
        except subprocess.CalledProcessError:
            pytest.skip("loop devices: losetup may not make one here")
        made.append(Loop(name.strip(), file))
        return made[-1]

    yield make
    for device in made:
        # What a test detached while it was held went away with its holder.
        with contextlib.suppress(subprocess.CalledProcessError):
            run("losetup", "--detach", device.path)
