# SPDX-License-Identifier: MIT
"""A tegraflash archive: read through once before anything is written, then unpacked.

meta-tegra's image_types_tegra.bbclass makes it (tar.gz; zip with TEGRAFLASH_PACKAGE_FORMAT; tar.zst in newer releases):
NVIDIA's flash tools, boot firmware, the root file system's image, and the scripts that go with them, all at its top.
Reading it to its end also verifies the checksum of the compression.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import IO, cast

from wr_nvidia_k8s.flash.error import ImageError
from wr_nvidia_k8s.flash.progress import Progress, Watched

# What is read into memory: scripts and settings. The largest real ones have some ten kilobytes.
KEPT = (".env.initrd-flash", "doflash.sh", "flashvars", "bsp_version", "flash.xml.in", "external-flash.xml.in")
KEPT_LIMIT = 1 << 20
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)


@dataclass
class Contents:
    """What `read` found: each file's size in bytes, the text of those in KEPT, and which Python files want yaml."""

    sizes: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    data: int = 0  # bytes on disk once unpacked; holes of sparse files take none
    imports_yaml: bool = False


@dataclass(frozen=True)
class _Entry:
    """One member, of either format."""

    name: str
    kind: str  # "file", "folder", "link", anything else is not allowed
    target: str
    size: int
    data: int
    open: Callable[[], IO[bytes] | None]
    unpack: Callable[[Path], None]


def read(path: Path) -> Contents:
    """Read the whole archive. Raises `ImageError` where it is damaged or would write outside its folder."""
    contents = Contents()
    for entry in _entries(path, f"reading {path.name}", verify=True):
        if entry.kind != "file":
            continue
        contents.sizes[entry.name] = entry.size
        contents.data += entry.data
        if entry.name in KEPT or ("/" not in entry.name and entry.name.endswith(".py")):
            file = entry.open()
            text = file.read(KEPT_LIMIT).decode(errors="replace") if file else ""
            if entry.name in KEPT:
                contents.texts[entry.name] = text
            contents.imports_yaml |= any(
                line.split()[:2] in (["import", "yaml"], ["from", "yaml"]) for line in text.splitlines()
            )
    return contents


def unpack(path: Path, into: Path) -> None:
    """Unpack the archive into the folder ``into``, as files of the user who runs this; holes stay holes."""
    for entry in _entries(path, f"unpacking {path.name}"):
        entry.unpack(into)


def _entries(path: Path, doing: str, verify: bool = False) -> Iterator[_Entry]:
    progress = Progress(doing, path.stat().st_size)
    try:
        for entry in _zip(path, progress, verify) if path.name.endswith(".zip") else _tar(path, progress):
            _check(entry, path)
            yield entry
    except _DAMAGE as error:
        raise ImageError(
            f"expected a whole archive, found damage in {path} ({error}): copy it again, or build it again"
        ) from error


def _check(entry: _Entry, path: Path) -> None:
    """The archive comes from a build or a download: nothing in it may reach outside the folder it is unpacked to."""
    for name in [entry.name, entry.target] if entry.kind == "link" else [entry.name]:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ImageError(
                f"expected only names below its own folder in {path}, found {name!r}"
                f"{'' if name == entry.name else f' as the target of {entry.name!r}'}: no build makes that, "
                "do not use this file"
            )
    if entry.kind not in ("file", "folder", "link"):
        raise ImageError(f"expected files and folders in {path}, found {entry.kind} {entry.name!r}: do not use it")


def _tar(path: Path, progress: Progress) -> Iterator[_Entry]:
    with path.open("rb", buffering=0) as raw, _decompressed(raw, progress) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                yield _tar_entry(tar, member)
        # The compression's checksum comes after tar's own end.
        while stream.read(1 << 20):
            pass


@contextmanager
def _decompressed(raw: FileIO, progress: Progress) -> Iterator[IO[bytes]]:
    if not str(raw.name).endswith(".zst"):
        with gzip.GzipFile(fileobj=cast("IO[bytes]", Watched(raw, raw, progress))) as stream:
            yield cast("IO[bytes]", stream)
        return
    # Python has no zstd before 3.14. The command reads from our file, which so knows how far it has come.
    command = ["zstd", "--decompress", "--stdout", "--quiet"]
    with subprocess.Popen(command, stdin=raw, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr  # noqa: S101 -- Popen's type says less than its arguments
        yield cast("IO[bytes]", Watched(process.stdout, raw, progress))
        if process.wait():
            raise EOFError(process.stderr.read().decode(errors="replace").strip())


def _tar_entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> _Entry:
    kinds = {tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "link"}
    kind = "file" if member.isfile() else kinds.get(member.type, f"a member of type {member.type!r}")
    # PEP 721's filter is not in every Python 3.10 and 3.11; what it is for here is done by _check and by these lines.
    safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""

    def unpack_member(into: Path) -> None:
        tar.extract(member, into, **safe)  # type: ignore[arg-type]

    # typeshed does not know TarInfo.sparse: [(offset, size)] of the data in a sparse file.
    pieces: list[tuple[int, int]] | None = getattr(member, "sparse", None)
    data = member.size if pieces is None else sum(size for _, size in pieces)
    return _Entry(
        _plain(member.name), kind, member.linkname, member.size, data, lambda: tar.extractfile(member), unpack_member
    )


def _zip(path: Path, progress: Progress, verify: bool) -> Iterator[_Entry]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if verify and not info.is_dir():
                with archive.open(info) as file:
                    while file.read(1 << 20):  # the end is where the checksum is compared
                        pass
            yield _zip_entry(archive, info)
            progress.add(info.compress_size)


def _zip_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Entry:
    mode = info.external_attr >> 16
    kind = "folder" if info.is_dir() else "file"
    if stat.S_ISLNK(mode):
        kind = "the symbolic link"  # zip follows links when it packs

    def unpack_member(into: Path) -> None:
        place = into / info.filename
        if info.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as source, place.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        # zipfile itself forgets which files are programs.
        place.chmod(stat.S_IMODE(mode) & 0o755 | stat.S_IRUSR | stat.S_IWUSR)

    return _Entry(
        _plain(info.filename), kind, "", info.file_size, info.file_size, lambda: archive.open(info), unpack_member
    )


def _plain(name: str) -> str:
    return name.removeprefix("./")
