# SPDX-License-Identifier: MIT
"""Finds the file for a shared library's name on the target: ld.so(8) emulated on a directory tree.

The order is ld.so's: DT_RPATH of the object and of those that loaded it (unless the object has a DT_RUNPATH), then
DT_RUNPATH, then the default directories. A file of another ABI is passed over, as ld.so does.
"""

from __future__ import annotations

import os
import pathlib

from . import elf


class Resolver:
    """Looks libraries up below `root`, where `default_dirs` (absolute paths on the target) stand for ld.so's own."""

    def __init__(self, root: pathlib.Path, default_dirs: list[str], abi: elf.Abi) -> None:
        self.root = root
        self.abi = abi
        self.default_dirs = [self.host_path(directory) for directory in default_dirs]

    def host_path(self, target_path: str) -> pathlib.Path:
        """Where an absolute path of the target is on this machine."""
        return self.root / target_path.lstrip("/")

    def real(self, path: pathlib.Path) -> pathlib.Path:
        """Follow symbolic links the way the target would: an absolute link points below `root`."""
        for _ in range(40):
            if not path.is_symlink():
                return path
            target = path.readlink()
            path = self.host_path(str(target)) if target.is_absolute() else path.parent / target
        return path

    def _usable(self, path: pathlib.Path) -> bool:
        path = self.real(path)
        if not path.is_file():
            return False
        found = elf.read(path)
        return found is not None and found.abi == self.abi

    def _expand(self, directories: tuple[str, ...], origin: pathlib.Path) -> list[pathlib.Path]:
        expanded = []
        for directory in directories:
            if directory.startswith(("$ORIGIN", "${ORIGIN}")):
                rest = directory.removeprefix("$ORIGIN").removeprefix("${ORIGIN}")
                expanded.append(pathlib.Path(os.path.normpath(f"{origin}/{rest}")))
            elif directory.startswith("/"):
                expanded.append(self.host_path(directory))
        return expanded

    def find(self, name: str, loaders: list[elf.Elf]) -> pathlib.Path | None:
        """Return the file for `name` as the last of `loaders` needs it (the first is the one loaded first)."""
        directories: list[pathlib.Path] = []
        if loaders:
            needer = loaders[-1]
            if not needer.runpath:
                for loader in reversed(loaders):
                    directories += self._expand(loader.rpath, loader.path.parent)
            directories += self._expand(needer.runpath, needer.path.parent)
        if "/" in name:
            candidate = self.host_path(name)
            return candidate if self._usable(candidate) else None
        for directory in [*directories, *self.default_dirs]:
            if self._usable(directory / name):
                return directory / name
        return None

    def dependencies(self, path: pathlib.Path) -> dict[str, pathlib.Path | None] | None:
        """Return every library that loading `path` pulls in, in ld.so's order (breadth first), as ldd(1) does.

        None where `path` is no dynamic ELF file of the target.
        """
        top = elf.read(self.real(path))
        if top is None or top.abi != self.abi:
            return None
        found: dict[str, pathlib.Path | None] = {}
        queue: list[list[elf.Elf]] = [[top]]
        while queue:
            loaders = queue.pop(0)
            for name in loaders[-1].needed:
                if name in found:
                    continue
                found[name] = library = self.find(name, loaders)
                if library is not None and (read := elf.read(self.real(library))) is not None:
                    queue.append([*loaders, read])
        return found

    def cache(self) -> dict[str, pathlib.Path]:
        """Return what `ldconfig -p` would list: file names and sonames of the default directories, first one wins."""
        listed: dict[str, pathlib.Path] = {}
        for directory in self.default_dirs:
            if not directory.is_dir():
                continue
            for path in sorted(directory.iterdir()):
                if ".so" in path.name and self._usable(path):
                    listed.setdefault(path.name, path)
        return listed
