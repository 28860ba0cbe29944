# SPDX-License-Identifier: MIT
"""An SD card written by meta-tegra's own scripts, from the layer's tree, to a real block device.

Only NVIDIA's tegraflash.py, which is not free to have, is a stand-in: it signs, which here means to hand the layout on.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flash.archives import BUILDS, ROOT_TEXT, layout, make, pack
from flash.places import MIB, Loop, Place, need, run
from flash.test_boards import SCRIPTS
from wr_nvidia_k8s.flash.layout import needed

BUILD = BUILDS["jetson-orin-nano"]
SIGNER = """
import argparse, pathlib, shutil
parser = argparse.ArgumentParser(allow_abbrev=False)
for option in ("--chip", "--cmd", "--cfg", "--applet", "--odmdata", "--sdram_config", "--bl", "--bins"):
    parser.add_argument(option, required=True)
options, rest = parser.parse_known_args()
assert (options.chip, options.cmd) == ("0x23", "sign"), options
assert "--skipuid" in rest and "--instance" not in rest, rest
pathlib.Path("signed").mkdir(exist_ok=True)
shutil.copy(options.cfg, "signed/flash.xml.tmp")
shutil.copy("boot.img", "signed/boot.img")
"""


@pytest.fixture
def image(place: Place) -> Path:
    if not SCRIPTS.is_dir():
        pytest.skip("meta-tegra's scripts: kas checkout kas/jetson-orin-nano.yml (CONTRIBUTING.md)")
    need("dtc", "cpp", "sgdisk", "partprobe", "bmaptool", "blockdev")
    made = make(place.folder / "image", BUILD, place.folder / "sys")
    tree = place.folder / "tree"
    tree.mkdir()
    run("tar", "-xf", made, "-C", tree)
    names = {"make-sdcard.sh": "make-sdcard", "nvflashxmlparse.py": "nvflashxmlparse",
             "tegra-flash-helper.sh": BUILD.helper, "initrd-flash.sh": "initrd-flash",
             "find-jetson-usb.sh": "find-jetson-usb"}  # fmt: skip
    for source, name in names.items():
        shutil.copy(SCRIPTS / source, tree / name)
        (tree / name).chmod(0o755)
    (tree / "tegraflash.py").write_text(SIGNER)
    parameters = ("dev-params.dts", "dev-params-b.dts", "emc-fuse.dts")
    for name in parameters:
        (tree / name).write_text("preprod_dev_sign = <1>;\n")
    with (tree / "flashvars").open("a") as flashvars:
        flashvars.write(
            'CHIP_SKU="00:00:00:D5"\nTBCDTB_FILE="@DTBFILE@"\nBPFDTB_FILE="bpmp.dtb"\nBPF_FILE="bpmp-TE950M-A1.bin"\n'
            "UEFI_IMAGE=uefi\nRCM_UEFI_IMAGE=uefi_rcm\nDEV_PARAMS={}\nDEV_PARAMS_B={}\nEMC_FUSE_DEV_PARAMS={}\n"
            .format(*parameters)
        )  # fmt: skip
    dosdcard = (tree / "dosdcard.sh").read_text()
    dosdcard = dosdcard.replace("BOARDID:-1", "BOARDID:-3767").replace("FAB:-2", "FAB:-RC1")
    (tree / "dosdcard.sh").write_text(dosdcard.replace("FAB=", "CHIPREV=0 BOARDSKU=0005 FAB=", 1))
    path = place.folder / made.name
    pack(tree, path)
    return path


def test_the_card_is_partitioned_and_filled(place: Place, image: Path, loop: Callable[..., Loop]) -> None:
    card = loop(64)
    result = place.flash(BUILD.board, "--image", image, "--device", card.path, "--yes")
    assert result.code == 0, result.stderr
    assert f"[OK: {card.path}]" in result.stderr
    rows = re.findall(r"^ +\d+ +(\d+) +(\d+) .* (\S+)$", run("sgdisk", "--print", card.path), re.MULTILINE)
    parts = {name: (int(start) * 512, int(end) * 512) for start, end, name in rows}
    assert parts.keys() == {"APP", "A_kernel"}
    disk = Path(card.path).read_bytes()
    assert disk[parts["APP"][0] :].startswith(ROOT_TEXT)
    assert disk[parts["A_kernel"][0] :].startswith(b"stand-in\n")
    assert parts["APP"][1] > 63 * MIB  # to the end of the card
    assert result.left == []


def test_a_card_just_large_enough_is_accepted_and_is(place: Place, image: Path, loop: Callable[..., Loop]) -> None:
    size = -(-needed(layout(BUILD.rest), 24 * MIB) // MIB)
    small = place.flash(BUILD.board, "--image", image, "--device", loop(size - 1, noise=False).path, "--yes")
    assert small.code == 77
    result = place.flash(BUILD.board, "--image", image, "--device", loop(size, noise=False).path, "--yes")
    assert result.code == 0, result.stderr
