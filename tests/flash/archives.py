# SPDX-License-Identifier: MIT
"""tegraflash archives laid out as meta-tegra's image_types_tegra.bbclass lays them out, with stand-ins for its tools.

Three generations of that class are in use: kirkstone-l4t-r32.7.x, scarthgap-l4t-r35.x and scarthgap (R36).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STANDINS = Path(__file__).with_name("standins")
ROOT_TEXT = b"the root file system"


@dataclass(frozen=True)
class Build:
    """What a machine's configuration in meta-tegra makes of an archive."""

    board: str
    machine: str
    release: tuple[int, int, int]
    chip: str
    product: str
    root_device: str
    rest: str  # the layout's storage besides the boot flash
    spi: bool = True
    card: bool = False  # dosdcard.sh
    external: bool = False
    bcts: str = "memory.dts"

    @property
    def helper(self) -> str:
        return "tegra210-flash-helper.sh" if self.release[0] < 35 else "tegra-flash-helper.sh"


R32, R35, R36 = (32, 7, 6), (35, 6, 4), (36, 5, 0)
TWO = "memory.cfg,override.cfg"
_BUILDS = (
    Build("jetson-orin-nano", "jetson-orin-nano-devkit", R36, "0x23", "7523", "mmcblk1", "sdcard", card=True),
    Build("jetson-orin-nano-nvme", "jetson-orin-nano-devkit-nvme", R36, "0x23", "7523", "nvme0n1", "", external=True),
    Build("jetson-agx-orin", "jetson-agx-orin-devkit", R36, "0x23", "7023", "mmcblk0", "sdmmc_user"),
    Build("jetson-agx-orin-64gb", "p3737-0000-p3701-0005", R36, "0x23", "7023", "mmcblk0", "sdmmc_user"),
    Build("jetson-orin-nx", "p3768-0000-p3767-0000", R36, "0x23", "7323", "nvme0n1", "", external=True),
    Build("jetson-orin-nx-8gb", "p3768-0000-p3767-0001", R36, "0x23", "7423", "nvme0n1", "", external=True),
    Build("jetson-xavier-nx", "jetson-xavier-nx-devkit", R35, "0x19", "7e19", "mmcblk1", "sdcard", card=True, bcts=TWO),
    Build("jetson-agx-xavier", "jetson-agx-xavier-devkit", R35, "0x19", "7019", "mmcblk0", "sdmmc_user", spi=False,
          bcts=TWO),
    Build("jetson-nano", "jetson-nano-devkit", R32, "0x21", "7f21", "mmcblk0", "sdcard", card=True),
)  # fmt: skip
BUILDS = {build.board: build for build in _BUILDS}
# What find-jetson-usb of each release takes for a Jetson in recovery mode.
_SINCE_35 = ["7019", "7819", "7919", "7e19", "7023", "7223", "7323", "7423", "7523", "7623"]
PRODUCTS = {
    32: ["7018", "7418", "7c18", "7019", "7819", "7919", "7023", "7223", "7e19", "7721", "7f21"],
    35: _SINCE_35,
    36: _SINCE_35,
}


def layout(storage: str, spi: bool = True) -> str:
    """A partition layout with the boot flash and, if named, the storage for the root file system."""
    boot = """
    <device type="{}" instance="0" sector_size="512" num_sectors="65536">
        <partition name="BCT" type="boot_config_table"><size> 1048576 </size></partition>
    </device>""".format("spi" if spi else "sdmmc_boot")
    rest = """
    <device type="{}" instance="0" sector_size="512" num_sectors="119537664">
        <partition name="master_boot_record" type="protective_master_boot_record"><size> 512 </size></partition>
        <partition name="primary_gpt" type="primary_gpt"><size> 19968 </size></partition>
        <partition name="APP" id="1" type="data">
            <allocation_attribute> 0x808 </allocation_attribute>
            <size> 33554432 </size>
            <filename> APPFILE </filename>
        </partition>
        <partition name="A_kernel" type="data">
            <allocation_attribute> 0x8 </allocation_attribute>
            <size> 4194304 </size>
            <filename> boot.img </filename>
        </partition>
        <partition name="secondary_gpt" type="secondary_gpt"><size> 0xFFFFFFFFFFFFFFFF </size></partition>
    </device>"""
    return f"<partition_layout>{boot}{rest.format(storage) if storage else ''}\n</partition_layout>\n"


def make(
    folder: Path, build: Build, sysfs: Path, *, fails: str = "", package: str = "tar", machine: str = "",
    initrd: bool = True, name: str = "", files: Mapping[str, str] | None = None,
) -> Path:  # fmt: skip
    """An archive for ``build`` in ``folder``, with more ``files``. Its scripts log their calls beside it (`called`)."""
    tree = folder / "tree"
    tree.mkdir(parents=True)
    machine = machine or build.machine
    root_image = "wr-nvidia-k8s-image.ext4"
    before_r35 = build.release[0] < 35
    (tree / "bsp_version").write_text("BSP_BRANCH={}\nBSP_MAJOR={}\nBSP_MINOR={}\n".format(*build.release))
    (tree / "flashvars").write_text('FLASHVARS="DTBFILE"\n' if before_r35 else f'FLASHVARS=""\nCHIPID={build.chip}\n')
    (tree / "flash.xml.in").write_text(layout(build.rest, build.spi))
    if build.external:
        (tree / "external-flash.xml.in").write_text(layout("nvme"))
    for plain in ("boot.img", "board.dtb", *build.bcts.split(","), *(["initrd-flash.img"] if initrd else [])):
        (tree / plain).write_bytes(b"stand-in\n")
    with (tree / root_image).open("wb") as file:
        file.write(ROOT_TEXT)
        file.truncate(24 << 20)
    arguments = f"flash.xml.in board.dtb {build.bcts} 0x1 boot.img {root_image}"
    block = "-B 4096 " if before_r35 else ""
    scripts = {"doflash.sh": f'#!/bin/sh\nMACHINE={machine} ./{build.helper} {block}{arguments} "$@"\n'}
    if build.card:
        scripts["dosdcard.sh"] = (
            f"#!/bin/sh\nMACHINE={machine} BOARDID=${{BOARDID:-1}} FAB=${{FAB:-2}} "
            f'./{build.helper} --sdcard -B 4096 -s 32G -b wr-nvidia-k8s-image {arguments} "$@"\n'
        )
    for name_, text in scripts.items():
        (tree / name_).write_text(text)
    shutil.copy(STANDINS / "flash_helper.py", tree / build.helper)
    tools = ["make-sdcard", "nvflashxmlparse", *(["find-jetson-usb"] if initrd else [])]
    for tool in tools:
        (tree / tool).write_text("#!/bin/sh\nexit 1\n")
    if initrd:
        shutil.copy(STANDINS / "initrd_flash.py", tree / "initrd-flash")
        (tree / ".env.initrd-flash").write_text(
            f'FLASH_HELPER={build.helper}\nBOOTDEV="{build.root_device}p1"\nROOTFS_DEVICE="{build.root_device}"\n'
            f'CHIPID="{build.chip}"\nMACHINE="{machine}"\nDEFAULTS[BOARDID]="3767"\nDTBFILE="board.dtb"\n'
            f'ROOTFS_IMAGE="{root_image}"\nDATAFILE=""\nEXTERNAL_ROOTFS_DRIVE={int(build.external)}\n'
        )
        tools.append("initrd-flash")
    for extra, text in (files or {}).items():
        (tree / extra).write_text(text)
    for script in [*scripts, *tools, build.helper]:
        (tree / script).chmod(0o755)
    (tree / "standin.json").write_text(json.dumps({
        "release": build.release[0], "products": PRODUCTS[build.release[0]], "sysfs": str(sysfs), "fails": fails,
        "called": str(folder / "called"),
    }))  # fmt: skip
    rootfs = "" if before_r35 else ".rootfs"
    ending = {"tar": "tar.gz", "zst": "tar.zst", "zip": "zip"}[package]
    path = folder / (name or f"wr-nvidia-k8s-image-{machine}{rootfs}.tegraflash.{ending}")
    pack(tree, path)
    shutil.rmtree(tree)
    return path


def pack(tree: Path, path: Path) -> None:
    """As the class's tegraflash_finalize_pkg does."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member in sorted(tree.rglob("*")):
                archive.write(member, member.relative_to(tree))
        return
    compress = "zstd -q -c" if path.suffix == ".zst" else "gzip -f -9 -n -c --rsyncable"
    tar = rf"tar --sparse --numeric-owner --transform='s,^\./,,' -cf- . | {compress}"
    with path.open("wb") as file:
        subprocess.run(["sh", "-c", tar], cwd=tree, stdout=file, check=True)


def called(path: Path) -> list[dict[str, object]]:
    """How the scripts of the archive at ``path`` were called, in order."""
    log = path.with_name("called")
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
