# SPDX-License-Identifier: MIT
"""The boards that `scripts/flash` knows: one entry for each hardware configuration in kas/."""

from __future__ import annotations

from dataclasses import dataclass

NVIDIA = "0955"  # USB vendor

# USB product in recovery mode -> module. The list is that of meta-tegra's find-jetson-usb.sh (all its branches); the
# last two digits are the chip (21 T210, 18 T186, 19 T194, 23 T234), the names NVIDIA's, from its "Quick Start" pages.
RECOVERY_PRODUCTS = {
    "7721": "Jetson TX1",
    "7f21": "Jetson Nano",
    "7018": "Jetson TX2i",
    "7418": "Jetson TX2 4GB",
    "7c18": "Jetson TX2",
    "7019": "Jetson AGX Xavier",
    "7819": "Jetson AGX Xavier Industrial",
    "7919": "Jetson AGX Xavier Industrial",
    "7e19": "Jetson Xavier NX",
    "7023": "Jetson AGX Orin",
    "7223": "Jetson AGX Orin 32GB module",
    "7323": "Jetson Orin NX 16GB",
    "7423": "Jetson Orin NX 8GB",
    "7523": "Jetson Orin Nano 8GB",
    "7623": "Jetson Orin Nano 4GB",
}

_JUMPER = (
    "switch the power off, put a jumper on the pins FC REC and GND of the button header under the module{pins}, "
    "connect the board's {port} port to this machine, switch the power on"
)
_ORIN_NANO = _JUMPER.format(pins=" (9 and 10 of J14)", port="USB-C")
_BUTTON = "connect {port} to this machine, hold the middle button (force recovery), {action}, let the button go"
_AGX_ORIN = _BUTTON.format(port="the USB-C port beside the 40-pin header", action="plug in the power supply")


@dataclass(frozen=True)
class Board:
    """One board and how an image gets onto it.

    ``chip`` is meta-tegra's NVIDIA_CHIP, ``product`` the USB product in recovery mode, ``method`` the script of a
    tegraflash archive that flashes over USB unless the user names another; all empty where the image is a disk image.
    """

    machine: str
    chip: str = ""
    product: str = ""
    method: str = "initrd-flash"
    recovery: str = ""


# meta-tegra's MACHINE for each name in kas/.
BOARDS = {
    "jetson-orin-nano": Board("jetson-orin-nano-devkit", "0x23", "7523", recovery=_ORIN_NANO),
    "jetson-orin-nano-nvme": Board("jetson-orin-nano-devkit-nvme", "0x23", "7523", recovery=_ORIN_NANO),
    "jetson-orin-nx": Board("p3768-0000-p3767-0000", "0x23", "7323", recovery=_ORIN_NANO),
    "jetson-orin-nx-8gb": Board("p3768-0000-p3767-0001", "0x23", "7423", recovery=_ORIN_NANO),
    "jetson-agx-orin": Board("jetson-agx-orin-devkit", "0x23", "7023", recovery=_AGX_ORIN),
    "jetson-agx-orin-64gb": Board("p3737-0000-p3701-0005", "0x23", "7023", recovery=_AGX_ORIN),
    "jetson-xavier-nx": Board(
        "jetson-xavier-nx-devkit", "0x19", "7e19", recovery=_JUMPER.format(pins="", port="micro-USB")
    ),
    "jetson-agx-xavier": Board(
        "jetson-agx-xavier-devkit", "0x19", "7019",
        recovery=_BUTTON.format(port="the USB-C port beside the power button", action="press and release reset"),
    ),
    # doflash.sh is the older and more travelled way on L4T R32, whose initrd-flash also hides its failures.
    "jetson-nano": Board(
        "jetson-nano-devkit", "0x21", "7f21", "doflash.sh", recovery=_JUMPER.format(pins="", port="micro-USB")
    ),
    "x86-64": Board("intel-x86-64"),
}  # fmt: skip
