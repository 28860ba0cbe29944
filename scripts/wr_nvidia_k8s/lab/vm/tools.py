# SPDX-License-Identifier: MIT
"""What the parts of a virtual machine are made with: the host's tools, and trees of files."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from wr_nvidia_k8s.common.errors import UserError


class AssemblyError(UserError):
    """A part of the machine cannot be made; the text says which tool failed and how."""


def run(command: Sequence[str | Path]) -> str:
    """Run a tool and return its output. Raises AssemblyError."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise AssemblyError(f"expected the command {error.filename}, found none; install its Debian package") from None
    if done.returncode:
        raise AssemblyError(f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def merge(source: Path, tree: Path) -> None:
    """Copy all below `source` into `tree`; a file that is there already is replaced, not written to."""

    def replace(file: str, target: str) -> None:
        Path(target).unlink(missing_ok=True)
        shutil.copy2(file, target)

    shutil.copytree(source, tree, symlinks=True, dirs_exist_ok=True, copy_function=replace)
