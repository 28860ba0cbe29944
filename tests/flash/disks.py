# SPDX-License-Identifier: MIT
"""Disk images as BitBake's wic makes them: a GPT with an EFI system partition and a root file system, and a bmap."""

from __future__ import annotations

import subprocess
from pathlib import Path

from flash.places import MIB, run

SIZE = 32  # MiB
ROOT_START = 12  # MiB
HELLO = "the root file system of an x86-64 machine\n"


def make_wic(folder: Path, machine: str = "intel-x86-64", compress: str = "") -> Path:
    """An image in ``folder``; ``compress`` is the ending of one that is compressed. Sparse, as wic's are."""
    tree = folder / "root"
    tree.mkdir(parents=True)
    (tree / "hello").write_text(HELLO)
    image = folder / f"wr-nvidia-k8s-image-{machine}.rootfs.wic"
    with image.open("wb") as file:
        file.truncate(SIZE * MIB)
    run("sgdisk", "--clear", "--new=1:1M:+10M", "--typecode=1:ef00", f"--new=2:{ROOT_START}M:-1M", image)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, "-E", f"offset={ROOT_START * MIB}", image, "16M")
    with image.open("r+b") as file:
        file.seek(MIB)
        file.write(b"EFI system partition" * 5000)
    run("bmaptool", "create", "--output", f"{image}.bmap", image)
    if compress:
        tool = {".gz": "gzip", ".zst": "zstd", ".xz": "xz", ".bz2": "bzip2"}[compress]
        with Path(f"{image}{compress}").open("wb") as file:
            subprocess.run([tool, "-c", image], stdout=file, check=True)
        image.unlink()
        return Path(f"{image}{compress}")
    return image
