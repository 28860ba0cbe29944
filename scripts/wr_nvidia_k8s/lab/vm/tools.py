# SPDX-License-Identifier: MIT
"""Helpers to build the parts of a virtual machine: the host's tools, and trees of files."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from wr_nvidia_k8s.common import process
from wr_nvidia_k8s.common.errors import UserError


class AssemblyError(UserError):
    """A part of the machine could not be built; the text says which tool failed and how."""


def run(command: Sequence[str | Path]) -> str:
    """Run a tool and return its output. Raises AssemblyError."""
    return process.run(command, error=AssemblyError)


def merge(source: Path, tree: Path) -> None:
    """Copy all below `source` into `tree`; a file that is there already is replaced, not written to."""

    def replace(file: str, target: str) -> None:
        Path(target).unlink(missing_ok=True)
        shutil.copy2(file, target)

    shutil.copytree(source, tree, symlinks=True, dirs_exist_ok=True, copy_function=replace)
