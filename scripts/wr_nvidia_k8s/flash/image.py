# SPDX-License-Identifier: MIT
"""The image file: where a build leaves it, and whether it is whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.flash.boards import Board
from wr_nvidia_k8s.flash.error import ImageError, ImageMissing
from wr_nvidia_k8s.flash.progress import Progress

IMAGE = "wr-nvidia-k8s-image"
TEGRAFLASH = (".tegraflash.tar.gz", ".tegraflash.tar.zst", ".tegraflash.zip")
WIC = (".wic", ".wic.gz", ".wic.bz2", ".wic.xz", ".wic.zst")


def suffixes(board: Board) -> tuple[str, ...]:
    """The file name endings of the images of ``board``."""
    return TEGRAFLASH if board.chip else WIC


def folders(board: Board) -> list[Path]:
    """Where kas lets BitBake leave images: the build directory of KAS_BUILD_DIR, of here, or of this checkout."""
    named = os.environ.get("KAS_BUILD_DIR")
    builds = [Path(named)] if named else [Path("build"), TOP / "build"]
    return list(dict.fromkeys(build.absolute() / "tmp*" / "deploy" / "images" / board.machine for build in builds))


def find(name: str, board: Board) -> Path:
    """The image that ``kas build kas/NAME.yml`` made last. Raises `ImageMissing`."""
    # BitBake's link to the newest image; IMAGE_NAME_SUFFIX (.rootfs) is in it from scarthgap on.
    links = [f"{IMAGE}-{board.machine}{rootfs}{suffix}" for rootfs in (".rootfs", "") for suffix in suffixes(board)]
    for folder in folders(board):
        base, pattern = Path(*folder.parts[: folder.parts.index("tmp*")]), Path(*folder.parts[-4:])
        found = [file for place in base.glob(str(pattern)) for link in links if (file := place / link).is_file()]
        if found:
            return max(found, key=lambda file: file.stat().st_mtime)
    places = "\n".join(f"  {folder}/{links[0]}" for folder in folders(board))
    raise ImageMissing(
        f"expected an image for {name}, found none at\n{places}\nbuild it with: kas build kas/{name}.yml\n"
        "or name the file with --image"
    )


def check_file(path: Path, board: Board) -> Path:
    """``path`` as an absolute one, if it is a readable file and its name ends like this board's images."""
    if not path.is_file():
        raise ImageMissing(f"expected an image file, found {'no file' if path.exists() else 'nothing'} at {path}")
    if not os.access(path, os.R_OK):
        raise ImageMissing(f"expected a readable image file, {path} is not: chmod a+r it, or copy it")
    if not path.name.endswith(suffixes(board)):
        kinds = " or ".join(suffixes(board))
        raise ImageError(f"expected a file name that ends with {kinds} for {board.machine}, found {path.name}")
    return path.absolute()


def verify_sha256(path: Path) -> Path | None:
    """Compare the file with the sum beside it (FILE.sha256 or, as BitBake's conversion calls it, FILE.sha256sum).

    Returns the file with the sum, None where there is none. Raises `ImageError` where they differ.
    """
    names = dict.fromkeys([path, path.resolve()])
    sums = [Path(f"{name}{end}") for name in names for end in (".sha256", ".sha256sum")]
    beside = next((file for file in sums if file.is_file()), None)
    if beside is None:
        return None
    expected = _expected(beside, {name.name for name in names})
    progress = Progress(f"checking {path.name}", path.stat().st_size)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
            progress.add(len(data))
    if digest.hexdigest() != expected:
        raise ImageError(
            f"expected the SHA-256 {expected} that {beside.name} says, found {digest.hexdigest()} in {path}: "
            "the file is damaged or is another build's; copy both again"
        )
    return beside


def _expected(beside: Path, names: set[str]) -> str:
    """The sum for one of ``names`` in a file like sha256sum writes, or the only thing in it."""
    text = beside.read_text(errors="replace")
    lines = re.findall(r"^([0-9a-fA-F]{64})(?:[ \t]+\*?(.+))?$", text, re.MULTILINE)
    mine = [value for value, name in lines if not name or Path(name.strip()).name in names]
    if len(mine) != 1:
        raise ImageError(f"expected one line 'SHA256  {sorted(names)[0]}' in {beside}, found {text[:200]!r}")
    return str(mine[0]).lower()


def check_wic_machine(path: Path, board: Board) -> None:
    """Raise `ImageError` unless the disk image at ``path`` was made for ``board``.

    A disk image does not say which MACHINE it is for; BitBake's testdata.json beside it does, or else its name.
    """
    for name in (path, path.resolve()):
        stem = name.name.split(".wic")[0]
        testdata = name.with_name(f"{stem}.testdata.json")
        if testdata.is_file():
            try:
                machine = json.loads(testdata.read_text())["MACHINE"]
            except (ValueError, KeyError, TypeError) as error:
                raise ImageError(f"expected MACHINE in {testdata}, found none ({error!r}); remove the file") from None
            if machine != board.machine:
                raise ImageError(f"expected an image for {board.machine}, found one for {machine}: {path}")
            return
    if not any(re.search(rf"-{re.escape(board.machine)}(\.|-\d)", name.name) for name in (path, path.resolve())):
        raise ImageError(
            f"expected the machine {board.machine} in the file's name, found {path.name}: a disk image does not say "
            "what it is for, so leave it the name that BitBake gave it"
        )
