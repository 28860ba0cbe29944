# SPDX-License-Identifier: MIT
"""The state of Docker and Kubernetes is on the disk that the image names, and nowhere else."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from board.machines import MIB, RECIPES, Build, building, fill_in, has_failed, has_started, host, oneshot
from data_disk import unit_name, write_units
from wr_nvidia_k8s.lab.vm.machine import Machine

FILES = RECIPES / "data-disk" / "data-disk"
GROW = RECIPES / "grow-root" / "grow-root"
DISK = "/dev/disk/by-id/virtio-data"
STATE = {"docker": "/var/lib/docker", "k3s": "/var/lib/rancher", "nvidia-device-plugin": "/var/lib/kubelet"}


def prepare(device: Path) -> subprocess.CompletedProcess[str]:
    """Run the script on an image of a disk."""
    return subprocess.run(["sh", FILES / "data-disk", device], capture_output=True, text=True, check=False)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An empty disk."""
    if missing := [tool for tool in ("blkid", "e2fsck", "mkfs.ext4", "mkswap", "sfdisk") if not shutil.which(tool)]:
        pytest.skip(f"{', '.join(missing)}: apt-get install e2fsprogs fdisk util-linux")
    file = tmp_path / "disk"
    with file.open("wb") as new:
        new.truncate(64 * MIB)
    return file


def test_an_empty_disk_gets_a_file_system_once(disk: Path) -> None:
    assert prepare(disk).returncode == 0
    made = host("blkid", "--probe", "--output", "value", "--match-tag", "UUID", disk)
    assert made
    assert prepare(disk).returncode == 0
    assert host("blkid", "--probe", "--output", "value", "--match-tag", "UUID", disk) == made


def partition(disk: Path) -> None:
    subprocess.run(["sfdisk", "--quiet", disk], input="label: gpt\n,,L\n", text=True, check=True)


def swap(disk: Path) -> None:
    host("mkswap", disk)


def ruin(disk: Path) -> None:
    """A file system whose root directory is gone, which e2fsck does not mend by itself."""
    host("mkfs.ext4", "-q", disk)
    host("debugfs", "-w", "-R", "clri <2>", disk)
    host("debugfs", "-w", "-R", "set_super_value state 2", disk)  # EXT4_ERROR_FS: to be checked


@pytest.mark.parametrize(
    ("holds", "words"),
    [(partition, "found a partition table (gpt)"), (swap, "found swap"), (ruin, "found a damaged file system")],
)
def test_what_holds_anything_else_is_left_as_it_is(disk: Path, holds: Callable[[Path], None], words: str) -> None:
    holds(disk)
    before = hashlib.sha256(disk.read_bytes()).digest()
    done = prepare(disk)
    assert done.returncode == 1
    assert words in done.stderr and str(disk) in done.stderr
    assert holds is ruin or hashlib.sha256(disk.read_bytes()).digest() == before


@pytest.mark.parametrize("path", ["/dev/nvme0n1", "/dev/disk/by-label/my-data", "/var/lib/docker", "/.x/a b"])
def test_names_of_units_are_systemds(path: str) -> None:
    if not shutil.which("systemd-escape"):
        pytest.skip("systemd-escape: apt-get install systemd")
    assert unit_name(path) == host("systemd-escape", "--path", path).strip()


def furnish(build: Build) -> None:
    """The units, and services that leave a line in their state directory each time that they start."""
    write_units(FILES, build.tree / "usr/lib/systemd/system", DISK, "/usr/libexec")
    build.write("usr/libexec/data-disk", fill_in(FILES / "data-disk"), 0o755)
    build.write("usr/libexec/grow-root", fill_in(GROW / "grow-root"), 0o755)
    build.unit("grow-root.service", fill_in(GROW / "grow-root.service"))
    for name, path in STATE.items():
        text = oneshot(f"mkdir -p {path} && echo started >>{path}/state")
        build.unit(f"{name}.service", f"{text}[Install]\nWantedBy=multi-user.target\n")


def test_state_is_on_the_disk_and_a_node_without_it_does_not_start() -> None:
    with building() as build:
        furnish(build)
        build.image(2048)
        # Behind the root file system, which must not grow into it.
        host("sgdisk", "--move-second-header", "--new=3:1500M:+100M", build.disk)
        table = host("sfdisk", "--dump", build.disk)
        data = build.scratch / "data"
        with data.open("wb") as file:
            file.truncate(1024 * MIB)
        drive = ["-drive", f"file={data},format=raw,if=none,id=data,cache=unsafe"]
        hardware = [*drive, "-device", "virtio-blk-pci,drive=data,serial=data,addr=0x18"]

        async def with_disk(machine: Machine, times: int = 1) -> None:
            for name, path in STATE.items():
                unit = f"{name}.service"
                await machine.wait(has_started(unit), f"{unit} to start", 0, has_failed(unit))
                assert (await machine.run(f"cat {path}/state")).split() == ["started"] * times
                source = await machine.run(f"findmnt --noheadings --nofsroot --output SOURCE --target {path}")
                assert source == "/dev/vdb"
            said = [entry.message for entry in machine.journal.entries if entry.is_from("grow-root.service")]
            assert "The root partition stays as it is: there is another one behind it." in said
            await machine.power_off()

        async def again(machine: Machine) -> None:
            await with_disk(machine, 2)

        async def without_disk(machine: Machine) -> None:
            for name, path in STATE.items():
                unit = f"{name}.service"
                await machine.wait(has_failed(unit), f"{unit} not to start", 0, has_started(unit))
                assert await machine.run(f"ls -A {path} 2>/dev/null || true") == "", "a state was begun beside the disk"
            await machine.run("systemctl is-active multi-user.target")
            said = [entry.message for entry in machine.journal.entries if entry.priority <= 4]
            assert any(f"Timed out waiting for device {unit_name(DISK)}.device" in text for text in said)
            await machine.power_off()

        build.boot(with_disk, hardware)
        build.boot(again, hardware)
        build.boot(without_disk)
        assert host("sfdisk", "--dump", build.disk) == table
        host("e2fsck", "-f", "-n", data)
