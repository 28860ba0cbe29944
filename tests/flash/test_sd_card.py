# SPDX-License-Identifier: MIT
"""A Jetson's SD card, written in this machine's reader: a real block device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flash.archives import BUILDS, ROOT_TEXT, called, layout, make
from flash.places import Loop, Place, need
from wr_nvidia_k8s.flash.error import ImageError
from wr_nvidia_k8s.flash.layout import needed

Loops = Callable[..., Loop]


@pytest.fixture(autouse=True)
def tools() -> None:
    need("dtc", "fdtput", "cpp", "sgdisk", "partprobe")


@pytest.mark.parametrize("board", [name for name, build in BUILDS.items() if build.card])
def test_the_card_gets_the_image(place: Place, loop: Loops, board: str) -> None:
    image = make(place.folder / "image", BUILDS[board], place.folder / "sys")
    card = loop(40)
    by_id = place.folder / "by-id"  # as in /dev/disk
    by_id.symlink_to(card.path)
    result = place.flash(board, "--image", image, "--device", by_id, "--yes", "--json")
    assert result.code == 0, result.stderr
    assert (result.json["method"], result.json["device"], result.json["usb"]) == ("dosdcard.sh", card.path, None)
    (call,) = called(image)
    assert call["arguments"][-2:] == ["-y", card.path]  # type: ignore[index]
    assert Path(card.path).read_bytes().startswith(ROOT_TEXT)
    assert result.left == []
    assert f"scripts/flash {board} --boot-firmware-only" in result.stderr


@pytest.mark.parametrize("board", [name for name, build in BUILDS.items() if not build.card])
def test_a_board_without_a_card_is_flashed_over_usb_only(place: Place, loop: Loops, board: str) -> None:
    image = make(place.folder / "image", BUILDS[board], place.folder / "sys")
    card = loop(40)
    before = card.digest()
    result = place.flash(board, "--image", image, "--device", card.path, "--yes")
    assert (result.code, card.digest(), called(image)) == (2, before, [])
    assert BUILDS[board].root_device in result.stderr


def test_a_card_that_fails_is_told(place: Place, loop: Loops) -> None:
    image = make(place.folder / "image", BUILDS["jetson-nano"], place.folder / "sys", fails="write")
    result = place.flash("jetson-nano", "--image", image, "--device", loop(40).path, "--yes")
    assert result.code == 1
    assert "ERR: failed to write" in result.stderr
    assert "try another one" in result.stderr


def test_without_bmaptool_it_is_slower_and_says_so(place: Place, loop: Loops) -> None:
    image = make(place.folder / "image", BUILDS["jetson-nano"], place.folder / "sys")
    place.variables["PATH"] = place.path_without("bmaptool")
    result = place.flash("jetson-nano", "--image", image, "--device", loop(40).path, "--dry-run")
    assert result.code == 0, result.stderr
    assert "bmap-tools" in result.stderr


def partitions(*names: str, fills: str = "", app_file: str = "APPFILE") -> str:
    """A layout of partitions of 4 MiB, besides the boot flash."""
    parts = "".join(
        f'<partition name="{name}"><size> 4194304 </size><allocation_attribute> {0x808 if name == fills else 8:#x} '
        f"</allocation_attribute><filename>{app_file if name == 'APP' else ''}</filename></partition>"
        for name in names
    )
    return layout("").replace("</partition_layout>", f'<device type="sdcard">{parts}</device></partition_layout>')


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        # The one that fills the card only has to hold its image, of 10 MiB; the others are as large as they say, and
        # each may begin up to 1 MiB later. Twice that is for the two partition tables.
        (layout("sdcard"), 10 + (4 + 1) + 2),
        (partitions("APP", "kernel", fills="APP"), 10 + (4 + 1) + 2),
        (partitions("APP", "kernel"), 10 + (4 + 1) + 2),  # none fills: APP is made the last
        (partitions("APP", "kernel", "UDA", fills="UDA"), 2 * (4 + 1) + 2),  # APP as large as it says
        (partitions("APP", "kernel", app_file=""), (4 + 1) + 2),  # its image is not written
        (partitions("kernel", "UDA"), 2 * (4 + 1) + 2),
    ],
)
def test_the_size_follows_from_the_layout(text: str, mib: int) -> None:
    assert needed(text, 10 << 20) == mib << 20


def test_a_layout_that_is_none() -> None:
    two = partitions("APP").replace("</partition_layout>", '<device type="nvme"/></partition_layout>')
    for text in ("", "<partition_layout/>", two, layout("sdcard").replace("4194304", "RECSIZE")):
        with pytest.raises(ImageError):
            needed(text, 0)
