# SPDX-License-Identifier: MIT
"""Devices that must not be written: refused by name of the reason, and left as they were. On real loop devices."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flash.archives import BUILDS, called, make
from flash.disks import make_wic
from flash.places import Loop, Place, need, run
from wr_nvidia_k8s.flash import device
from wr_nvidia_k8s.flash.error import Refused

Loops = Callable[..., Loop]


@pytest.fixture(params=["x86-64", "jetson-orin-nano"])
def target(place: Place, request: pytest.FixtureRequest) -> tuple[str, Path]:
    """A board whose image goes to a device of this machine, and a good image for it."""
    need("bmaptool", "sgdisk", "partprobe", "mke2fs", "dtc", "cpp")
    if request.param == "x86-64":
        return "x86-64", make_wic(place.folder / "image")
    return request.param, make(place.folder / "image", BUILDS[request.param], place.folder / "sys")


@pytest.fixture
def mounts(place: Place) -> Iterator[list[Path]]:
    """Mount points to unmount afterwards."""
    made: list[Path] = []
    yield made
    for point in made:
        run("umount", point)


def refused(place: Place, target: tuple[str, Path], device: str, loop: Loop, *words: str) -> None:
    """The command refuses ``device``, and nothing on the whole of ``loop`` changes."""
    board, image = target
    before = loop.digest()
    result = place.flash(board, "--image", image, "--device", device, "--yes", "--json")
    assert (result.code, result.json["ok"]) == (77, False), result.stderr
    for word in words:
        assert word in result.stderr
    assert loop.digest() == before
    assert (called(image), result.left) == ([], [])


def test_a_mounted_partition(place: Place, target: tuple[str, Path], loop: Loops, mounts: list[Path]) -> None:
    device = loop()
    partition = device.partition()
    run("mke2fs", "-q", "-F", partition)
    point = place.folder / "mounted"
    point.mkdir()
    run("mount", "-o", "ro", partition, point)  # read-only, so that its own time stamps do not change
    mounts.append(point)
    refused(place, target, device.path, device, f"{partition} at {point}", f"sudo umount {partition}")


def test_a_mounted_disk(place: Place, target: tuple[str, Path], loop: Loops, mounts: list[Path]) -> None:
    device = loop()
    run("mke2fs", "-q", "-F", device.path)
    point = place.folder / "mounted"
    point.mkdir()
    run("mount", "-o", "ro", device.path, point)
    mounts.append(point)
    refused(place, target, device.path, device, f"{device.path} at {point}")


def test_a_swap_partition(place: Place, target: tuple[str, Path], loop: Loops) -> None:
    device = loop()
    partition = device.partition()
    run("mkswap", partition)
    run("swapon", partition)
    try:
        refused(place, target, device.path, device, f"[SWAP] on {partition}", "this system")
    finally:
        run("swapoff", partition)


def test_what_only_the_kernel_knows_of(place: Place, target: tuple[str, Path], loop: Loops) -> None:
    """A holder that lsblk does not show, as with ZFS, btrfs on several disks, or a mount in another namespace."""
    device = loop()
    holder = os.open(device.path, os.O_RDONLY | os.O_EXCL)
    try:
        refused(place, target, device.path, device, "the kernel says", "busy")
    finally:
        os.close(holder)


def test_a_partition_instead_of_the_disk(place: Place, target: tuple[str, Path], loop: Loops) -> None:
    device = loop()
    partition = device.partition()
    refused(place, target, partition, device, f"{partition} is a partition: name {device.path}")


def test_a_link_to_a_partition(place: Place, target: tuple[str, Path], loop: Loops) -> None:
    device = loop()
    link = place.folder / "by-id"
    link.symlink_to(device.partition())
    refused(place, target, str(link), device, "is a partition")


def test_a_device_too_small(place: Place, target: tuple[str, Path], loop: Loops) -> None:
    device = loop(16)
    refused(place, target, device.path, device, "expected at least", "(16777216 bytes)")
    assert place.flash(target[0], "--image", target[1], "--device", device.path, "--dry-run").code == 77


def test_a_read_only_device(place: Place, target: tuple[str, Path], loop: Loops) -> None:
    device = loop(read_only=True)
    refused(place, target, device.path, device, "read-only")


def test_what_is_no_device(place: Place, target: tuple[str, Path], loop: Loops) -> None:
    device = loop()
    for path in (device.file, Path("/dev/null"), place.folder / "none"):
        refused(place, target, str(path), device, "expected a block device")


def test_the_disk_that_this_system_runs_from(place: Place, target: tuple[str, Path]) -> None:
    """Only as a dry run: this is the real one."""
    source = run("findmnt", "--noheadings", "--nofsroot", "--output", "SOURCE", "/").strip()
    if not source.startswith("/dev/"):
        pytest.skip("a root file system on a disk: this machine's is elsewhere")
    disk = run("lsblk", "--inverse", "--noheadings", "--list", "--output", "PATH,TYPE", source).split()
    device = disk[disk.index("disk") - 1]
    result = place.flash(target[0], "--image", target[1], "--device", device, "--dry-run")
    assert result.code == 77
    assert "this system does not run from" in result.stderr
    assert "/ on " in result.stderr


def test_a_device_taken_between_check_and_write(place: Place, target: tuple[str, Path], loop: Loops) -> None:
    """The step that writes looks again: here it is started by hand, as the command would."""
    board, image = target
    device = loop()
    before = device.digest()
    steps = place.flash(board, "--image", image, "--device", device.path, "--dry-run", "--json").json["steps"]
    holder = os.open(device.path, os.O_RDONLY | os.O_EXCL)
    try:
        shell = "\n".join(step["command"] for step in steps)
        done = subprocess.run(["bash", "-euc", shell], env=place.environment(), capture_output=True, text=True)
    finally:
        os.close(holder)
    assert done.returncode != 0
    assert f"{device.path} was taken" in done.stderr
    assert "nothing was written" in done.stderr
    assert (device.digest(), called(image)) == (before, [])


# What one machine seldom has, as lsblk 2.38 prints it.
def disk(*children: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "name": "sdb", "path": "/dev/sdb", "pkname": None, "type": "disk", "size": 10**9, "ro": False, "tran": "usb",
        "vendor": "Generic ", "model": "Card Reader", "serial": "1", "mountpoints": [None],
        "children": list(children), **changes,
    }  # fmt: skip


def on(path: str, kind: str, *children: dict[str, Any], at: str | None = None) -> dict[str, Any]:
    return {"path": path, "type": kind, "mountpoints": [at], "children": list(children)}


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (disk(on("/dev/sdb1", "part", on("/dev/mapper/vg-root", "lvm", at="/"))), "this system does not run from"),
        (disk(on("/dev/sdb1", "part", on("/dev/mapper/c", "crypt", at="/home"))), "this system does not run from"),
        (disk(on("/dev/sdb1", "part", at="/boot/efi")), "this system does not run from"),
        (disk(on("/dev/sdb1", "part", on("/dev/mapper/vg-data", "lvm"))), "part of /dev/mapper/vg-data (lvm)"),
        (disk(on("/dev/md0", "raid1")), "part of /dev/md0 (raid1)"),
        (disk(on("/dev/sdb1", "part", on("/dev/mapper/c", "crypt"))), "part of /dev/mapper/c (crypt)"),
        (disk(on("/dev/mapper/mpatha", "mpath")), "part of /dev/mapper/mpatha (mpath)"),
        (disk(path="/dev/sr0", type="rom"), "is of type rom"),
        (disk(path="/dev/mapper/vg-data", type="lvm"), "is of type lvm"),
        (disk(on("/dev/sdb1", "part", at="/media/u/CARD")), "/dev/sdb1 at /media/u/CARD"),
    ],
)
def test_what_lies_on_a_disk(tree: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as error:
        device.check_tree(tree)
    assert words in str(error.value)


def test_a_disk_with_unused_partitions_may_be_overwritten() -> None:
    device.check_tree(disk(on("/dev/sdb1", "part"), on("/dev/sdb2", "part")))
