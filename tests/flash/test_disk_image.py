# SPDX-License-Identifier: MIT
"""The x86-64 machine's disk image: written by the real bmaptool to a real block device, and compared byte by byte."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flash.disks import HELLO, SIZE, make_wic
from flash.places import MIB, Loop, Place, need, run
from flash.test_usb import as_user

Loops = Callable[..., Loop]


@pytest.fixture(autouse=True)
def tools() -> None:
    need("bmaptool", "sgdisk", "partprobe", "mke2fs")


def mapped(image: Path, size: int) -> list[tuple[int, int]]:
    """Which bytes of the image its bmap says are data: (start, end)."""
    bmap = ElementTree.parse(image.with_name(f"{image.name.split('.wic')[0]}.wic.bmap"))
    block = int(bmap.findtext("BlockSize", ""))
    ranges = [(element.text or "").strip().split("-") for element in bmap.iter("Range")]
    return [(int(first[0]) * block, min((int(first[-1]) + 1) * block, size)) for first in ranges]


@pytest.mark.parametrize("compress", ["", ".gz", ".zst"])
def test_the_disk_holds_the_image_byte_by_byte(place: Place, loop: Loops, compress: str) -> None:
    tool = {"": "cat", ".gz": "gzip -dc", ".zst": "zstd -dc"}[compress]
    need(tool.split()[0])
    image = make_wic(place.folder / "image", compress=compress)
    disk = loop(48)
    before = Path(disk.path).read_bytes()
    result = place.flash("x86-64", "--image", image, "--device", disk.path, "--yes", "--json")
    assert result.code == 0, result.stderr
    assert (result.json["device"], result.json["method"]) == (disk.path, "bmaptool")
    data = subprocess.run([*tool.split(), image], stdout=subprocess.PIPE, check=True).stdout
    after = Path(disk.path).read_bytes()
    assert len(data) == SIZE * MIB
    ranges = mapped(image, len(data))
    assert ranges
    end = 0
    for start, stop in [*ranges, (len(after), len(after))]:
        assert after[end:start] == before[end:start], "bytes outside the image's data changed"
        assert after[start:stop] == data[start:stop]
        end = stop
    assert before != after


def test_the_written_disk_can_be_used(place: Place, loop: Loops) -> None:
    image = make_wic(place.folder / "image")
    disk = loop(48, noise=False)
    assert place.flash("x86-64", "--image", image, "--device", disk.path, "--yes").code == 0
    assert Path(disk.path).read_bytes()[: SIZE * MIB] == image.read_bytes()
    run("partprobe", disk.path)
    point = place.folder / "mounted"
    point.mkdir()
    run("mount", "-o", "ro", f"{disk.path}p2", point)
    try:
        assert (point / "hello").read_text() == HELLO
    finally:
        run("umount", point)


def test_a_damaged_image_never_reaches_the_disk(place: Place, loop: Loops) -> None:
    image = make_wic(place.folder / "image")
    with image.open("r+b") as file:
        file.seek(MIB + 100)
        file.write(b"damage")
    disk = loop(48)
    before = disk.digest()
    result = place.flash("x86-64", "--image", image, "--device", disk.path, "--yes")
    assert (result.code, disk.digest()) == (65, before)
    assert "nothing was written" in result.stderr


def refused(place: Place, image: Path, disk: Loop, code: int, *words: str) -> None:
    before = disk.digest()
    result = place.flash("x86-64", "--image", image, "--device", disk.path, "--yes")
    assert (result.code, disk.digest()) == (code, before), result.stderr
    for word in words:
        assert word in result.stderr


def test_the_sum_beside_it_is_compared(place: Place, loop: Loops) -> None:
    image = make_wic(place.folder / "image")
    Path(f"{image}.sha256").write_text(f"{'0' * 64}  {image.name}\n")
    refused(place, image, loop(48), 65, "expected the SHA-256")


def test_the_block_map_is_wanted(place: Place, loop: Loops) -> None:
    image = make_wic(place.folder / "image")
    bmap = Path(f"{image}.bmap")
    bmap.write_text("<bmap/>")
    disk = loop(48)
    refused(place, image, disk, 65, "ImageSize")
    bmap.unlink()
    refused(place, image, disk, 66, bmap.name, 'IMAGE_FSTYPES += "wic.bmap"')


def test_the_image_is_for_this_machine(place: Place, loop: Loops) -> None:
    disk = loop(48)
    other = make_wic(place.folder / "other", machine="qemux86-64")
    refused(place, other, disk, 65, "expected the machine intel-x86-64")
    renamed = make_wic(place.folder / "image")
    image = renamed.rename(renamed.with_name("disk.wic"))
    Path(f"{renamed}.bmap").rename(f"{image}.bmap")
    refused(place, image, disk, 65, "leave it the name")
    testdata = image.with_name("disk.testdata.json")
    testdata.write_text(json.dumps({"MACHINE": "qemux86-64"}))
    refused(place, image, disk, 65, "found one for qemux86-64")
    testdata.write_text(json.dumps({"MACHINE": "intel-x86-64"}))
    assert place.flash("x86-64", "--image", image, "--device", disk.path, "--yes").code == 0


def test_a_device_must_be_named(place: Place) -> None:
    image = make_wic(place.folder / "image")
    result = place.flash("x86-64", "--image", image, "--yes")
    assert result.code == 2
    assert "--device" in result.stderr


def test_the_dry_run_writes_nothing(place: Place, loop: Loops) -> None:
    image = make_wic(place.folder / "image")
    disk = loop(48)
    before = disk.digest()
    result = place.flash("x86-64", "--image", image, "--device", disk.path, "--dry-run")
    assert (result.code, disk.digest()) == (0, before)
    assert f"bmaptool copy --bmap {image}.bmap {image} /dev/null\n" in result.stdout
    assert f"bmaptool copy --bmap {image}.bmap {image} /dev/fd/0\n" in result.stdout
    assert f"--device {disk.path} --identity" in result.stdout


def test_bmaptool_is_named_where_it_is_missing(place: Place, loop: Loops) -> None:
    image = make_wic(place.folder / "image")
    place.variables["PATH"] = place.path_without("bmaptool")
    refused(place, image, loop(48), 69, "sudo apt-get install bmap-tools")


def test_an_ordinary_user_becomes_root_only_to_write(place: Place, loop: Loops) -> None:
    image = make_wic(place.folder / "image")
    disk = loop(48, noise=False)
    prefix = as_user(place)
    planned = place.flash("x86-64", "--image", image, "--device", disk.path, "--dry-run", prefix=prefix).stdout
    assert planned.count("sudo -- ") == 1
    theirs = place.folder / "theirs"
    theirs.touch()
    place.tool("bmaptool", f'#!/bin/sh\nid -u >>{place.tmp}/users\nexec /usr/bin/bmaptool "$@"\n')
    assert "Write the disk" in planned.split("sudo -- ")[0].splitlines()[-2]
    result = place.flash("x86-64", "--image", image, "--device", disk.path, "--yes", prefix=prefix)
    assert result.code == 0, result.stderr
    assert Path(disk.path).read_bytes()[: SIZE * MIB] == image.read_bytes()
    assert (place.tmp / "users").read_text().split() == ["65534", "0"], "the image is verified without root"
    assert theirs.stat().st_uid == 0, "what lies in the current folder became the user's"


def test_an_ordinary_user_cannot_take_what_the_kernel_uses(place: Place, loop: Loops) -> None:
    """lsblk does not show this holder, and only root may ask the kernel: the step that is root does."""
    image = make_wic(place.folder / "image")
    disk = loop(48)
    before = disk.digest()
    holder = os.open(disk.path, os.O_RDONLY | os.O_EXCL)
    try:
        result = place.flash("x86-64", "--image", image, "--device", disk.path, "--yes", prefix=as_user(place))
    finally:
        os.close(holder)
    assert (result.code, disk.digest()) == (77, before), result.stderr
