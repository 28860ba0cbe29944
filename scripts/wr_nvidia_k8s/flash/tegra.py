# SPDX-License-Identifier: MIT
"""What a tegraflash archive is for, and how its own scripts are to be called.

The scripts and their options are meta-tegra's: image_types_tegra.bbclass writes doflash.sh, dosdcard.sh and
.env.initrd-flash into the archive, recipes-bsp/tegra-binaries/tegra-helper-scripts has the rest.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from wr_nvidia_k8s.flash import layout
from wr_nvidia_k8s.flash.archive import Contents
from wr_nvidia_k8s.flash.boards import Board
from wr_nvidia_k8s.flash.error import ImageError, UsageError

INITRD_FLASH, DOFLASH, DOSDCARD = "initrd-flash", "doflash.sh", "dosdcard.sh"


@dataclass(frozen=True)
class Package:
    """One archive's facts: ``release`` is L4T's (branch, major, minor), ``root_device`` the board's for the disk."""

    contents: Contents
    machine: str
    chip: str
    release: tuple[int, int, int]
    root_device: str
    external: bool  # the root file system goes to a drive that only initrd-flash can write
    root_image: str

    @property
    def l4t(self) -> str:
        return "R{}.{}.{}".format(*self.release)

    def has(self, script: str) -> bool:
        return script in self.contents.sizes

    def card_bytes(self) -> int:
        """How large the SD card must be."""
        return layout.needed(self.contents.texts["flash.xml.in"], self.contents.sizes[self.root_image])


def package(contents: Contents, path: Path, board: Board) -> Package:
    """The facts of the archive at ``path``. Raises `ImageError` unless it is a complete one for ``board``."""
    for name in (DOFLASH, "flash.xml.in", "bsp_version"):
        if name not in contents.texts:
            raise ImageError(f"expected {name} at the top of {path}, found none: this is no whole tegraflash archive")
    settings = _settings(contents.texts.get(".env.initrd-flash", ""))
    machine = settings.get("MACHINE") or _doflash(contents, r"\bMACHINE=([\w.+-]+)")
    if machine != board.machine:
        raise ImageError(f"expected an image for {board.machine}, found one for {machine or 'no machine'}: {path}")
    flashvars = _settings(contents.texts.get("flashvars", ""))
    chip = settings.get("CHIPID") or flashvars.get("CHIPID", "")
    if chip and chip != board.chip:
        raise ImageError(f"expected an image for the chip {board.chip}, found one for {chip}: {path}")
    bsp = _settings(contents.texts["bsp_version"])
    try:
        release = (int(bsp["BSP_BRANCH"]), int(bsp["BSP_MAJOR"]), int(bsp["BSP_MINOR"]))
    except (KeyError, ValueError) as error:
        raise ImageError(f"expected L4T's version in bsp_version of {path}, found {bsp} ({error!r})") from None
    root_image = settings.get("ROOTFS_IMAGE") or _doflash(contents, r"(\S+\.ext4)\b")
    if root_image not in contents.sizes:
        raise ImageError(f"expected the root file system {root_image or '*.ext4'} in {path}, found none: rebuild it")
    return Package(
        contents, machine, board.chip, release, settings.get("ROOTFS_DEVICE", ""),
        settings.get("EXTERNAL_ROOTFS_DRIVE", "0") == "1", root_image,
    )  # fmt: skip


def usb_command(package: Package, board: Board, port: str, method: str | None, boot_only: bool) -> list[str]:
    """The script that flashes over USB, with its arguments. Raises `UsageError` where the archive has no such way."""
    if boot_only:
        if "spi" not in layout.device_types(package.contents.texts["flash.xml.in"]):
            raise UsageError(
                "expected a board that boots from its own flash memory for --boot-firmware-only, found that "
                f"{package.machine} keeps all on the eMMC: leave the option out"
            )
        return [f"./{DOFLASH}", "--spi-only", "--usb-instance", port]
    fallback = DOFLASH if not package.has(INITRD_FLASH) and not package.external else INITRD_FLASH
    script = method or (board.method if package.has(board.method) and not package.external else fallback)
    if not package.has(script):
        raise UsageError(
            f"expected {script} in the archive, found none: TEGRAFLASH_INITRD_FLASH_IMAGE was empty when it was built"
        )
    if script == DOFLASH and package.external:
        raise UsageError(
            f"expected --method {INITRD_FLASH}: the root file system goes to {package.root_device}, which {DOFLASH} "
            "cannot write"
        )
    return [f"./{script}", "--usb-instance", port]


def card_command(package: Package, device: str) -> list[str]:
    """The script that writes an SD card in this machine's reader. Raises `UsageError` where the board has no card."""
    if not package.has(DOSDCARD):
        raise UsageError(
            f"expected no --device: the root file system of {package.machine} is on "
            f"{package.root_device or 'the eMMC'}, not on an SD card; flash it over USB, in recovery mode"
        )
    return [f"./{DOSDCARD}", "-y", device]


def _settings(text: str) -> dict[str, str]:
    """NAME=value lines as the scripts source them; names with [index] are left out."""
    values = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        try:
            values[name] = " ".join(shlex.split(value))
        except ValueError:
            raise ImageError(f"expected NAME=value lines, found {name}={value}: the archive is damaged") from None
    return values


def _doflash(contents: Contents, pattern: str) -> str:
    match = re.search(pattern, contents.texts[DOFLASH])
    return match[1] if match else ""
