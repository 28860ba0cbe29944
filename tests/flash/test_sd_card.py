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


def test_the_size_follows_from_the_layout() -> None:
    """All partitions as large as they say, but the last one: that only has to hold its image."""
    small, large = needed(layout("sdcard"), 10 << 20), needed(layout("sdcard"), 90 << 20)
    assert large - small == 80 << 20
    assert small > (10 << 20) + 4194304


def test_a_layout_that_is_none() -> None:
    for text in ("", "<partition_layout/>", layout("sdcard").replace("4194304", "RECSIZE")):
        with pytest.raises(ImageError):
            needed(text, 0)
