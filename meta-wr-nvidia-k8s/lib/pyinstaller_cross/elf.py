# SPDX-License-Identifier: MIT
"""What this package needs to know about an ELF file, read with pyelftools."""

from __future__ import annotations

import dataclasses
import pathlib
import typing

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from elftools.elf.segments import InterpSegment

from .errors import FreezeError


@dataclasses.dataclass(frozen=True)
class Abi:
    """Which processors can load a file: e_machine, word size in bits and byte order (ELF specification, figure 4-3)."""

    machine: str
    bits: int
    little_endian: bool

    def __str__(self) -> str:
        return f"{self.machine.removeprefix('EM_')} {self.bits}-bit {'little' if self.little_endian else 'big'}-endian"


# What `uname -m` says on the target, which is what PyInstaller knows machines by.
_ABIS = {
    "aarch64": Abi("EM_AARCH64", 64, True),
    "x86_64": Abi("EM_X86_64", 64, True),
    "riscv64": Abi("EM_RISCV", 64, True),
    "ppc64le": Abi("EM_PPC64", 64, True),
    "armv7l": Abi("EM_ARM", 32, True),
    "i686": Abi("EM_386", 32, True),
}


def abi_of_machine(machine: str) -> Abi:
    """Return the ABI of a machine as `uname -m` names it. Raises FreezeError for an untested one."""
    try:
        return _ABIS[machine]
    except KeyError:
        raise FreezeError(f"machine: expected one of {', '.join(sorted(_ABIS))}, found {machine!r}") from None


@dataclasses.dataclass(frozen=True)
class Elf:
    """The dynamic section of one file. rpath and runpath are split at the colons, $ORIGIN not yet expanded."""

    path: pathlib.Path
    abi: Abi
    needed: tuple[str, ...] = ()
    soname: str | None = None
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    interpreter: str | None = None


def _split(value: str) -> tuple[str, ...]:
    return tuple(part for part in value.split(":") if part)


def read(path: pathlib.Path) -> Elf | None:
    """Read an ELF file; None where the file is something else or a broken ELF file."""
    try:
        with path.open("rb") as stream:
            if stream.read(4) != b"\x7fELF":
                return None
            stream.seek(0)
            file = ELFFile(stream)
            needed: list[str] = []
            found: dict[str, tuple[str, ...]] = {}
            soname = interpreter = None
            for segment in file.iter_segments():
                if isinstance(segment, InterpSegment):
                    interpreter = segment.get_interp_name()
                elif isinstance(segment, DynamicSegment):
                    tag: typing.Any
                    for tag in segment.iter_tags():
                        kind = tag.entry.d_tag
                        if kind == "DT_NEEDED":
                            needed.append(tag.needed)
                        elif kind == "DT_SONAME":
                            soname = tag.soname
                        elif kind == "DT_RPATH":
                            found["rpath"] = _split(tag.rpath)
                        elif kind == "DT_RUNPATH":
                            found["runpath"] = _split(tag.runpath)
            abi = Abi(str(file["e_machine"]), int(file.elfclass), bool(file.little_endian))
            return Elf(path, abi, tuple(needed), soname, interpreter=interpreter, **found)
    except (ELFError, OSError):
        return None


def exported_symbols(path: pathlib.Path) -> set[str]:
    """Return the names that a shared library defines in its dynamic symbol table."""
    with path.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".dynsym")
        if not isinstance(table, SymbolTableSection):
            return set()
        return {symbol.name for symbol in table.iter_symbols() if symbol["st_shndx"] != "SHN_UNDEF"}


__all__ = ["Abi", "Elf", "abi_of_machine", "exported_symbols", "read"]
