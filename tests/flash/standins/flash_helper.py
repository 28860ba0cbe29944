#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stand-in for meta-tegra's tegra*-flash-helper.sh, which doflash.sh and dosdcard.sh call.

As strict about options, arguments and files; instead of NVIDIA's tools it writes the root file system's image to the
start of the card. standin.json: see initrd_flash.py.
"""

import getopt
import json
import os
import shutil
import stat
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SETTINGS = json.loads((HERE / "standin.json").read_text())
BEFORE_R35 = SETTINGS["release"] < 35
_SHORT = "u:s:b:B:yc:" if BEFORE_R35 else "u:v:s:b:B:yc:"
_LONG = ["bup", "no-flash", "sign", "sdcard", "spi-only", "external-device", "rcm-boot", "datafile=", "usb-instance="]


def fail(text: str) -> None:
    sys.exit(f"ERR: {text}")


def main() -> None:
    try:
        given, arguments = getopt.gnu_getopt(
            sys.argv[1:], _SHORT, _LONG + ([] if BEFORE_R35 else ["bup-type=", "boot-only", "uefi-enc="])
        )
    except getopt.GetoptError as error:
        fail(str(error))
    options = dict(given)
    if not os.environ.get("MACHINE"):
        fail("MACHINE not set")
    if len(arguments) < 6:
        fail(f"six arguments expected, {len(arguments)} found")
    layout, dtb, bcts, _odmdata, kernel, image, *rest = arguments
    for name in (layout, dtb, *bcts.split(","), kernel, image, "flashvars", "bsp_version"):
        if not Path(name).is_file():
            fail(f"missing {name}")
    for command in ("dtc", *(("fdtput",) if BEFORE_R35 else ("cpp",))):
        if shutil.which(command) is None:
            fail(f"'{command}' command not found")
    with Path(SETTINGS["called"]).open("a") as log:
        log.write(json.dumps({"script": Path(sys.argv[0]).name, "arguments": sys.argv[1:], "uid": os.geteuid()}) + "\n")
    if SETTINGS["fails"] == "eeprom":
        fail("could not retrieve EEPROM board information")
    if "--sdcard" in options:
        if len(rest) != 1 or "-y" not in options:
            fail("make-sdcard would ask for confirmation, or for a size")
        if not stat.S_ISBLK(Path(rest[0]).stat().st_mode):
            fail(f"{rest[0]} does not appear to be an appropriate device")
        if SETTINGS["fails"] == "write":
            fail(f"failed to write {image} to {rest[0]}")
        with Path(rest[0]).open("r+b") as card:
            card.write(Path(image).read_bytes())
        print(f"[OK: {rest[0]}]")
        return
    if rest or not options.get("--usb-instance"):
        fail(f"unexpected {rest}, or no --usb-instance")
    product = Path(SETTINGS["sysfs"]) / "bus/usb/devices" / options["--usb-instance"] / "idProduct"
    if product.read_text().strip() not in SETTINGS["products"]:
        fail("could not retrieve chip ID")
    if "--spi-only" in options and "spi" not in Path(layout).read_text():
        fail("--spi-only specified for eMMC platform")
    print("[................................................] 100%")


main()
