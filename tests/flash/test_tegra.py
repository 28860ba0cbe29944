# SPDX-License-Identifier: MIT
"""Which script of an archive flashes which board, and which archives are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flash.archives import layout
from wr_nvidia_k8s.flash import host, tegra
from wr_nvidia_k8s.flash.archive import Contents
from wr_nvidia_k8s.flash.boards import BOARDS, Board
from wr_nvidia_k8s.flash.error import ImageError, UsageError
from wr_nvidia_k8s.flash.tegra import DOFLASH, DOSDCARD, INITRD_FLASH, Package

ORIN = BOARDS["jetson-orin-nano"]
NANO = BOARDS["jetson-nano"]
IMAGE = Path("x.tegraflash.tar.gz")


def contents(**changes: str | None) -> Contents:
    """Of an archive for the Orin Nano; a text that is None is not in it. ``_`` stands for a dot in the names."""
    texts: dict[str, str | None] = {
        "doflash_sh": f"#!/bin/sh\nMACHINE={ORIN.machine} ./tegra-flash-helper.sh flash.xml.in root.ext4 \"$@\"\n",
        "flash_xml_in": layout("sdcard"),
        "version": "BSP_BRANCH=36\nBSP_MAJOR=5\nBSP_MINOR=0\n",
        "flashvars": "CHIPID=0x23\n",
        "env": f'MACHINE="{ORIN.machine}"\nCHIPID="0x23"\nROOTFS_IMAGE="root.ext4"\nROOTFS_DEVICE=mmcblk1\n',
        **changes,
    }
    names = {"version": "bsp_version", "env": ".env.initrd-flash"}
    kept = {names.get(name, name.replace("_", ".")): text for name, text in texts.items() if text is not None}
    return Contents(dict.fromkeys([*kept, "root.ext4"], 8 << 20), kept)


def test_the_facts_of_an_archive() -> None:
    found = tegra.package(contents(), IMAGE, ORIN)
    assert (found.machine, found.chip, found.l4t, found.root_device) == (ORIN.machine, "0x23", "R36.5.0", "mmcblk1")
    assert (found.external, found.root_image) == (False, "root.ext4")
    assert found.card_bytes() == (8 + (4 + 1) + 2) << 20
    without = tegra.package(contents(env=None, flashvars=None), IMAGE, ORIN)  # doflash.sh says it all
    assert (without.machine, without.root_image, without.root_device) == (ORIN.machine, "root.ext4", "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"doflash_sh": None}, "expected doflash.sh at the top"),
        ({"flash_xml_in": None}, "expected flash.xml.in at the top"),
        ({"version": None}, "expected bsp_version at the top"),
        ({"env": None, "doflash_sh": "#!/bin/sh\n"}, "found one for no machine"),
        ({"env": "MACHINE=other\n"}, "found one for other"),
        ({"env": f"MACHINE={ORIN.machine}\nCHIPID=0x19\n"}, "chip 0x23, found one for 0x19"),
        ({"env": f"MACHINE={ORIN.machine}\n", "flashvars": "CHIPID=0x19\n"}, "chip 0x23, found one for 0x19"),
        ({"version": "BSP_BRANCH=36\nBSP_MAJOR=5\n"}, "expected L4T's version"),
        ({"version": "BSP_BRANCH=36\nBSP_MAJOR=five\nBSP_MINOR=0\n"}, "expected L4T's version"),
        ({"env": f"MACHINE={ORIN.machine}\nROOTFS_IMAGE=none.ext4\n"}, "root file system none.ext4"),
        ({"env": "MACHINE='unfinished\n"}, "the archive is damaged"),
    ],
)
def test_an_archive_that_is_not_for_this_board_or_not_whole(changes: dict[str, str | None], words: str) -> None:
    with pytest.raises(ImageError) as error:
        tegra.package(contents(**changes), IMAGE, ORIN)
    assert words in str(error.value)


def built(*scripts: str, external: bool = False, spi: bool = True, root_device: str = "mmcblk0") -> Package:
    found = tegra.package(contents(flash_xml_in=layout("sdcard", spi)), IMAGE, ORIN)
    sizes = dict.fromkeys([*scripts, "root.ext4"], 1)
    return replace(found, contents=Contents(sizes, found.contents.texts), external=external, root_device=root_device)


BOTH = (DOFLASH, INITRD_FLASH)


@pytest.mark.parametrize(
    ("package", "board", "method", "script"),
    [
        (built(*BOTH), ORIN, None, INITRD_FLASH),
        (built(*BOTH), NANO, None, DOFLASH),
        (built(*BOTH), ORIN, DOFLASH, DOFLASH),
        (built(*BOTH), NANO, INITRD_FLASH, INITRD_FLASH),
        (built(DOFLASH), ORIN, None, DOFLASH),
        (built(*BOTH, external=True), ORIN, None, INITRD_FLASH),
        (built(*BOTH, external=True), NANO, None, INITRD_FLASH),
    ],
)
def test_the_script_that_flashes_over_usb(package: Package, board: Board, method: str | None, script: str) -> None:
    assert tegra.usb_command(package, board, "1-2", method, False) == [f"./{script}", "--usb-instance", "1-2"]


@pytest.mark.parametrize(
    ("package", "method", "boot_only", "words"),
    [
        (built(DOFLASH), INITRD_FLASH, False, "expected initrd-flash in the archive"),
        # A root file system on NVMe, which doflash.sh would leave out: the board would not boot.
        (built(DOFLASH, external=True), None, False, "expected initrd-flash in the archive"),
        (built(*BOTH, external=True), DOFLASH, False, "expected --method initrd-flash"),
        (built(*BOTH, spi=False), None, True, "keeps all on the eMMC"),
    ],
)
def test_a_way_that_the_archive_has_not(package: Package, method: str | None, boot_only: bool, words: str) -> None:
    with pytest.raises(UsageError) as error:
        tegra.usb_command(package, ORIN, "1-2", method, boot_only)
    assert words in str(error.value)


def test_a_card_only_for_a_board_that_has_one() -> None:
    assert tegra.card_command(built(*BOTH, DOSDCARD), "/dev/sdz") == ["./dosdcard.sh", "-y", "/dev/sdz"]
    for root_device, words in (("nvme0n1", "is on nvme0n1, not"), ("", "is on the eMMC, not")):
        with pytest.raises(UsageError) as error:
            tegra.card_command(built(*BOTH, root_device=root_device), "/dev/sdz")
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("chip", "branch", "script", "files", "more"),
    [
        ("0x23", 36, INITRD_FLASH, (), {"cpp", "sgdisk", "partprobe", "blockdev", "udisksctl", "udevadm"}),
        ("0x23", 36, DOSDCARD, (), {"cpp", "sgdisk", "partprobe", "blockdev"}),
        ("0x19", 35, DOFLASH, (), {"cpp"}),
        ("0x19", 35, DOFLASH, ("sw_memcfg_overlay.pl",), {"cpp", "perl"}),
        ("0x23", 36, DOFLASH, ("sw_memcfg_overlay.pl",), {"cpp"}),
        ("0x21", 32, DOFLASH, (), {"fdtput"}),
    ],
)
def test_what_each_script_runs(chip: str, branch: int, script: str, files: tuple[str, ...], more: set[str]) -> None:
    package = replace(built(*files), chip=chip, release=(branch, 0, 0))
    assert set(host.for_package(package, script)) == {"bash", "getopt", "python3", "dtc"} | more
