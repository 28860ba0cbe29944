# SPDX-License-Identifier: MIT
"""What flashing needs of this machine: commands, a Python module, the processor, room on a disk."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from wr_nvidia_k8s.flash.device import human
from wr_nvidia_k8s.flash.error import HostError
from wr_nvidia_k8s.flash.tegra import DOFLASH, DOSDCARD, INITRD_FLASH, Package

# Command -> Debian package.
_COMMANDS = {
    "bash": "bash",
    "blockdev": "util-linux",
    "bmaptool": "bmap-tools",
    "bzip2": "bzip2",
    "cpp": "cpp",
    "dtc": "device-tree-compiler",
    "fdtput": "device-tree-compiler",
    "getopt": "util-linux",
    "gzip": "gzip",
    "partprobe": "parted",
    "perl": "perl-base",
    "python3": "python3",
    "sgdisk": "gdisk",
    "sudo": "sudo",
    "udevadm": "udev",
    "udisksctl": "udisks2",
    "xz": "xz-utils",
    "zstd": "zstd",
}

# What the archive's scripts call beyond coreutils: read from meta-tegra's tegra-helper-scripts on the three branches.
_ALL = ("bash", "getopt", "python3", "dtc")
_OF_SCRIPT = {
    INITRD_FLASH: ("sgdisk", "partprobe", "blockdev", "udisksctl", "udevadm"),
    DOSDCARD: ("sgdisk", "partprobe", "blockdev"),
    DOFLASH: (),
}
_CPP_SINCE = 35  # L4T R35: NVIDIA's tools preprocess device trees
_DECOMPRESS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
_SPARE = 512 << 20


def path() -> str:
    """PATH with the folders for administration, which Debian leaves out of an ordinary user's."""
    folders = [*os.environ.get("PATH", "").split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    return ":".join(dict.fromkeys(folder for folder in folders if folder))


def scratch() -> Path:
    """Where to unpack. Not tempfile's own choice: that writes a file to try, even in a dry run."""
    return Path(os.environ.get("TMPDIR") or "/tmp")


def has(command: str) -> bool:
    return shutil.which(command, path=path()) is not None


def for_package(package: Package, script: str) -> list[str]:
    """The commands that ``script`` of this archive runs."""
    needed = [*_ALL, *_OF_SCRIPT[script]]
    if package.release[0] >= _CPP_SINCE:
        needed.append("cpp")
    if package.chip == "0x21":
        needed.append("fdtput")
    if package.chip == "0x19" and package.has("sw_memcfg_overlay.pl"):
        needed.append("perl")
    return needed


def to_unpack(image: Path) -> list[str]:
    """The commands that read this archive; Python reads the others itself."""
    return ["zstd"] if image.suffix == ".zst" else []


def for_wic(image: Path) -> list[str]:
    """The commands that write this disk image."""
    return ["bmaptool", *(tool for ending, tool in _DECOMPRESS.items() if image.suffix == ending)]


def check_commands(needed: list[str], *, sudo: bool, yaml: bool = False) -> None:
    """Raise `HostError` unless all are on PATH, with ``sudo`` where it is needed, and python3's yaml where wanted."""
    missing = [command for command in needed + (["sudo"] if sudo else []) if not has(command)]
    packages = [_COMMANDS[command] for command in missing]
    what = list(missing)
    if yaml and "python3" not in missing and _run(["python3", "-c", "import yaml"]).returncode:
        what.append(f"yaml (a module of {shutil.which('python3', path=path())})")
        packages.append("python3-yaml")
    if what:
        raise HostError(
            f"expected these on PATH, found none: {', '.join(what)}\n"
            f"install them: sudo apt-get install {' '.join(dict.fromkeys(packages))}"
        )
    if "cpp" in needed and "clang" in _run(["cpp", "--version"]).stdout.lower():
        raise HostError(
            "expected GNU's cpp on PATH, found clang's, with which NVIDIA's tools fail: "
            "sudo apt-get install cpp, and put it first on PATH"
        )


def check_processor() -> None:
    """NVIDIA's flash tools are programs for x86-64. Raises `HostError` elsewhere."""
    if platform.machine() != "x86_64":
        raise HostError(f"expected an x86-64 machine, which NVIDIA's flash tools are for, found {platform.machine()}")


def check_room(folder: Path, data: int) -> None:
    """Raise `HostError` unless an archive of ``data`` bytes can be unpacked and used below ``folder``."""
    state = os.statvfs(folder)
    if state.f_flag & os.ST_NOEXEC:
        raise HostError(f"expected a folder to run programs from, {folder} is mounted noexec: set TMPDIR to another")
    # The scripts make a second copy of what they write, in the same folder.
    needed, free = 2 * data + _SPARE, state.f_bavail * state.f_frsize
    if free < needed:
        raise HostError(
            f"expected {human(needed)} free below {folder} to unpack the image, found {human(free)}: "
            "make room, or set TMPDIR to a folder with more"
        )


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env={**os.environ, "PATH": path()}, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
