# SPDX-License-Identifier: MIT
"""The contents of a frozen program: its archive, the modules in it, and zip files."""

from __future__ import annotations

import importlib
import io
import pathlib
import typing
import zipfile

# The end of the archive that is appended to, or a section of, the executable: MAGIC of PyInstaller.archive.writers.
_ARCHIVE_MAGIC = b"MEI\014\013\012\013\016"


def of_file(path: pathlib.Path) -> typing.Iterator[tuple[str, bytes]]:
    """Yield name and content of the file itself (named "") and of everything packed in it, uncompressed."""
    data = path.read_bytes()
    yield "", data
    if data.startswith(b"\x7fELF") and _ARCHIVE_MAGIC in data:
        yield from _archive(path)
    elif data.startswith(b"PK\3\4"):
        yield from _zip(data)


def _zip(data: bytes) -> typing.Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def _reader(path: pathlib.Path) -> typing.Any:
    # Imported here: the rest of the package works, and is tested, without PyInstaller.
    return importlib.import_module("PyInstaller.archive.readers").CArchiveReader(str(path))


def _archive(path: pathlib.Path) -> typing.Iterator[tuple[str, bytes]]:
    archive = _reader(path)
    for name, (*_, kind) in archive.toc.items():
        if kind in ("d", "n"):  # references and links, which have no content
            continue
        data = archive.extract(name)
        yield name, data
        if kind == "z":
            modules = archive.open_embedded_archive(name)
            for module in modules.toc:
                yield module, modules.extract(module, raw=True) or b""
        elif data.startswith(b"PK\3\4"):
            yield from _zip(data)


def unpack(path: pathlib.Path, target: pathlib.Path) -> None:
    """Unpack what a one-file program unpacks when it starts, so that it can be checked like a directory."""
    archive = _reader(path)
    for name, (*_, kind) in archive.toc.items():
        destination = target / name
        if kind == "n":
            destination.parent.mkdir(parents=True, exist_ok=True)
            destination.symlink_to(archive.extract(name).rstrip(b"\0").decode())
        elif kind in ("b", "x"):
            destination.parent.mkdir(parents=True, exist_ok=True)
            destination.write_bytes(archive.extract(name))
