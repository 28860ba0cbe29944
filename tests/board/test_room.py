# SPDX-License-Identifier: MIT
"""The root file system grows to the end of the disk that its image was written to, on a real kernel and systemd."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from board.machines import MIB, RECIPES, ROOT_START_MIB, Build, building, fill_in, has_failed, has_started, host
from wr_nvidia_k8s.lab.vm.journal import Entry
from wr_nvidia_k8s.lab.vm.machine import Machine

FILES = RECIPES / "grow-root" / "grow-root"
UNIT = "grow-root.service"
# Large enough that ext4 is at it for a while.
DISK_MIB = 200 * 1024


@pytest.fixture
def build() -> Iterator[Build]:
    with building() as build:
        build.write("usr/libexec/grow-root", fill_in(FILES / "grow-root"), 0o755)
        build.unit(UNIT, fill_in(FILES / UNIT))
        yield build


async def grown(machine: Machine) -> None:
    await machine.wait(has_started(UNIT), f"{UNIT} to have ended", 0, has_failed(UNIT))
    size = int((await machine.run("df --block-size=1M --output=size / | tail -n 1")).strip())
    assert size > 0.97 * (DISK_MIB - ROOT_START_MIB), "of which ext4 takes some 2 percent for itself"
    assert await machine.run("systemctl list-units --failed --plain --no-legend") == ""
    await machine.power_off()


def is_sound(build: Build) -> None:
    """Both copies of the partition table are whole and the same, and so is the file system."""
    assert "No problems found" in host("sgdisk", "--verify", build.disk)
    host("e2fsck", "-f", "-n", f"{build.disk}?offset={ROOT_START_MIB * MIB}")


def is_writing_the_table(entry: Entry) -> bool:
    return entry.is_from(UNIT) and entry.message.startswith("growing partition 2 of /dev/vda")


def is_resizing(entry: Entry) -> bool:
    return "resizing filesystem from" in entry.message


def test_root_fills_its_disk_whenever_power_is_lost(build: Build) -> None:
    build.image(DISK_MIB)
    for moment in (is_writing_the_table, is_resizing):

        async def until(machine: Machine, moment: Callable[[Entry], bool] = moment) -> None:
            await machine.wait(moment, "it to be in the middle of growing", 0, has_failed(UNIT))

        build.boot(until)
    build.boot(grown)
    is_sound(build)
