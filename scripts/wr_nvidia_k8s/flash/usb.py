# SPDX-License-Identifier: MIT
"""Jetsons in recovery mode on this machine's USB, as the kernel lists them.

Source: Documentation/ABI/stable/sysfs-bus-usb of the Linux kernel. Where sysfs is follows SYSFS_PATH, as in libsysfs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from wr_nvidia_k8s.flash.boards import BOARDS, NVIDIA, RECOVERY_PRODUCTS, Board
from wr_nvidia_k8s.flash.error import NoBoard


@dataclass(frozen=True)
class UsbDevice:
    """An NVIDIA device at a port (BUS-PORT[.PORT...], which the flash tools call the instance)."""

    port: str
    product: str
    node: Path

    def __str__(self) -> str:
        name = RECOVERY_PRODUCTS.get(self.product, "not a Jetson in recovery mode")
        no_image = self.product in RECOVERY_PRODUCTS and not _boards(self.product)
        return f"{NVIDIA}:{self.product} at {self.port} ({name}{', for which kas/ has no image' if no_image else ''})"


def _boards(product: str) -> list[str]:
    return [name for name, board in BOARDS.items() if board.product == product]


def devices() -> list[UsbDevice]:
    """All devices of NVIDIA's, by port."""
    found = []
    for folder in sorted((Path(os.environ.get("SYSFS_PATH") or "/sys") / "bus/usb/devices").glob("*-*")):
        if _read(folder / "idVendor") != NVIDIA:  # an interface has none, nor a device that goes while we look
            continue
        bus, number = _read(folder / "busnum"), _read(folder / "devnum")
        node = Path("/dev/bus/usb") / bus.zfill(3) / number.zfill(3)
        found.append(UsbDevice(folder.name, _read(folder / "idProduct"), node))
    return found


def find(name: str, board: Board, port: str | None) -> UsbDevice:
    """The one board of this kind in recovery mode, or the one at ``port``. Raises `NoBoard`."""
    seen = devices()
    matching = [device for device in seen if device.product == board.product and port in (None, device.port)]
    if len(matching) == 1:
        return matching[0]
    expected = f"{NVIDIA}:{board.product} ({RECOVERY_PRODUCTS[board.product]}){f' at {port}' if port else ''}"
    if matching:
        raise NoBoard(
            f"expected one {expected} on USB, found {len(matching)}: choose with --usb-instance "
            + " or ".join(device.port for device in matching)
        )
    others = "".join(f"\n  {device}" for device in seen) or " no device of NVIDIA's"
    raise NoBoard(
        f"expected {expected} on USB, found{others}\nto put {name} into recovery mode: {board.recovery}\n"
        "then run this again; use a data cable, a port of the machine itself and no hub"
    )


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
