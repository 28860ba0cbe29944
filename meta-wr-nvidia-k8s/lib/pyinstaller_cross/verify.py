# SPDX-License-Identifier: MIT
"""Checks of every frozen program. Each check returns its problems, one sentence per problem.

PyInstaller's own warnings are checked too: it continues even if a file that the program needs was not found.
"""

from __future__ import annotations

import pathlib
import re

from . import contents, elf
from .config import Config
from .resolver import Resolver

# PyInstaller's messages (6.x) after which the program lacks something, though the exit status is 0.
_BAD_MESSAGES = re.compile(r"Failed to collect|Library not found|Library \S+ required via ctypes not found|\bERROR: ")


def log_problems(log: str) -> list[str]:
    """Check PyInstaller's log."""
    return [f"PyInstaller says: {line.strip()}" for line in log.splitlines() if _BAD_MESSAGES.search(line)]


def _bundled(root: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]


def elf_problems(config: Config, root: pathlib.Path, library_dir: pathlib.Path) -> list[str]:
    """Check that each ELF file below `root` is for the target and finds the libraries it needs.

    The bootloader makes ld.so look in `library_dir` first (LD_LIBRARY_PATH).
    """
    abi = elf.abi_of_machine(config.machine)
    resolver = Resolver(library_dir, ["/"], abi)
    problems = []
    for path in _bundled(root):
        shown = path.relative_to(root)
        file = elf.read(path)
        if file is None:
            continue
        if file.abi != abi:
            problems.append(f"{shown} is for another machine: expected {abi}, found {file.abi}")
            continue
        if config.is_system_library(path.name):
            problems.append(f"{shown} belongs to the target's C library, which must not be bundled")
        for name in file.needed:
            if config.is_system_library(name):
                continue
            found = resolver.find(name, [file])
            if found is None:
                problems.append(f"{shown} needs {name}, which is neither bundled nor a library every target has")
    return problems


def build_path_problems(config: Config, root: pathlib.Path) -> list[str]:
    """Check that no directory of the build machine is named anywhere, packed code included."""
    wanted = {path: path.rstrip("/").encode() for path in config.build_paths if path.rstrip("/")}
    problems = []
    for path in _bundled(root):
        for inside, data in contents.of_file(path):
            where = f"{path.relative_to(root)}{f' ({inside})' if inside else ''}"
            problems += [f"{where} names the build path {shown}" for shown, raw in wanted.items() if raw in data]
    return problems
