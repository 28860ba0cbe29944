# SPDX-License-Identifier: MIT
"""How large a card or drive the partition layout of a tegraflash archive needs.

The layout (flash.xml.in) is NVIDIA's format, "Partition Configuration" in its developer guide, with meta-tegra's
values in it. make-sdcard in the archive creates the partitions of the device that is not the boot flash, each with the
size that the layout says, but the one that is to fill the rest, or else APP, last and as large as what is left.
"""

from __future__ import annotations

from xml.etree import ElementTree

from wr_nvidia_k8s.flash.error import ImageError

BOOT_FLASH = ("spi", "sdmmc_boot")
_TABLES = {"GP1", "GPT", "protective_master_boot_record", "primary_gpt", "secondary_gpt"}
_FILLS = 0x800  # bit of allocation_attribute
_ALIGNMENT = 1 << 20  # sgdisk starts each partition at a multiple of this many bytes


def device_types(layout: str) -> list[str]:
    """The kinds of storage in the layout: spi, sdcard, sdmmc_user, nvme, ..."""
    return [device.get("type", "") for device in _parse(layout).iter("device")]


def needed(layout: str, root_image: int) -> int:
    """The bytes that the card must have for this layout and a root file system's image of that many bytes."""
    devices = [device for device in _parse(layout).iter("device") if device.get("type") not in BOOT_FLASH]
    if len(devices) != 1:
        raise ImageError(f"expected one device besides the boot flash in flash.xml.in, found {len(devices)}")
    parts = [part for part in devices[0].iter("partition") if part.get("type") not in _TABLES]
    try:
        fills = [part for part in parts if int(part.findtext("allocation_attribute", "0").strip(), 16) & _FILLS]
        last = next(iter(fills or [part for part in parts if part.get("name") == "APP"]), None)
        fixed = sum(int(part.findtext("size", "0").strip(), 0) + _ALIGNMENT for part in parts if part is not last)
    except ValueError as error:
        raise ImageError(f"expected numbers in flash.xml.in, found {error}") from None
    holds_root = last is not None and "APPFILE" in last.findtext("filename", "")
    return fixed + (root_image if holds_root else 0) + 2 * _ALIGNMENT


def _parse(layout: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(layout)
    except ElementTree.ParseError as error:
        raise ImageError(f"expected a partition layout in flash.xml.in, found no XML ({error})") from None
