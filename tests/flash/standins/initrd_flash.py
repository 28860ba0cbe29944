#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stand-in for meta-tegra's initrd-flash: as strict about how and where it is called, and it says the same words.

standin.json beside it has what a board and a build would bring: which release this is, which USB products count as
Jetsons in recovery mode, where sysfs is, what is to fail, and where to write down how this was called.
"""

import getopt
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SETTINGS = json.loads((HERE / "standin.json").read_text())
BEFORE_R35 = SETTINGS["release"] < 35


def fail(text: str) -> None:
    sys.exit(f"ERR: {text}")


def source(name: str) -> dict[str, str]:
    """What bash knows after sourcing the file, as initrd-flash does."""
    names = "MACHINE FLASH_HELPER ROOTFS_DEVICE ROOTFS_IMAGE EXTERNAL_ROOTFS_DRIVE CHIPID"
    script = f"declare -A DEFAULTS; . ./{name} || exit 1; for v in {names}; do printf '%s=%s\\n' $v \"${{!v}}\"; done"
    done = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def main() -> None:
    if not Path(".env.initrd-flash").exists():
        sys.exit("Missing environment settings")
    variables = source(".env.initrd-flash")
    long = ["usb-instance=", "help", "skip-bootloader", *(["user_key="] if BEFORE_R35 else ["erase-nvme"])]
    try:
        given, rest = getopt.gnu_getopt(sys.argv[1:], "u:v:h", long)
    except getopt.GetoptError as error:
        fail(str(error))
    if rest:
        fail(f"unexpected arguments {rest}")
    options = dict(given)
    for script in ("find-jetson-usb", "make-sdcard", "nvflashxmlparse", variables["FLASH_HELPER"]):
        if not os.access(HERE / script, os.X_OK):
            fail(f"{script} is not executable")
    for command in ("dtc", "sgdisk", "partprobe", "udisksctl", "udevadm", *(() if BEFORE_R35 else ("cpp",))):
        if shutil.which(command) is None:
            fail(f"{command}: command not found")
    image = Path(variables["ROOTFS_IMAGE"])
    with Path(SETTINGS["called"]).open("a") as log:
        holes = image.stat().st_blocks * 512 < image.stat().st_size
        log.write(json.dumps({"script": "initrd-flash", "arguments": sys.argv[1:], "uid": os.geteuid(), "holes": holes,
                              "root_image": image.read_bytes().rstrip(b"\0").decode(errors="replace")}) + "\n")
    instance = options.get("--usb-instance", "")
    if not instance or SETTINGS["fails"] == "usb":
        fail(f"No Jetson device in recovery mode found at USB {instance}")
    device = Path(SETTINGS["sysfs"]) / "bus/usb/devices" / instance
    if (device / "idVendor").read_text().strip() != "0955":
        fail(f"No Jetson device in recovery mode found at USB {instance}")
    if (device / "idProduct").read_text().strip() not in SETTINGS["products"]:
        fail(f"No Jetson device in recovery mode found at USB {instance}")
    print(f"Found Jetson device in recovery mode at USB {instance}")
    Path("bootloader_staging").mkdir()
    words = Path("log.initrd-flash.2026-11-23-08.00.00")
    words.write_text("stand-in\n")
    print("== Step 1: Signing binaries at 2026-11-23T08:00:00+00:00 ==")
    if SETTINGS["fails"] == "usb-write":
        # The tools' own words go only there.
        words.write_text("ERROR: might be timeout in USB write.\nError: Return value 3\n")
        fail("signing failed at 2026-11-23T08:00:00+00:00")
    print("== Step 4: Writing partitions on internal storage device at 2026-11-23T08:00:00+00:00 ==", flush=True)
    if SETTINGS["fails"] == "hang":
        signal.pause()
    if SETTINGS["fails"] == "write":
        print("ERR: write failure to internal storage at 2026-11-23T08:00:00+00:00", flush=True)
        # Without pipefail, R32's script does not notice.
        sys.exit(0 if BEFORE_R35 else 1)
    Path("device-logs-2026-11-23-08.00.00").mkdir()
    print(f"Final status: {'FAILED' if SETTINGS['fails'] == 'board' else 'SUCCESS'}")
    print("Successfully finished at 2026-11-23T08:00:00+00:00")


main()
