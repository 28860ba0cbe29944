# SPDX-License-Identifier: MIT
"""A virtual machine that boots from a disk with partitions, as a PC does, with units of ours in it.

What the units call is Debian's (systemd, util-linux, e2fsprogs), and so is the kernel. The machine's services are
stand-ins: they write into their state directory and end.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.lab.vm import kubelet, root
from wr_nvidia_k8s.lab.vm.journal import Entry
from wr_nvidia_k8s.lab.vm.machine import EMULATORS, Machine
from wr_nvidia_k8s.lab.vm.tools import merge

MIB = 1 << 20
ROOT_MIB = 700
ROOT_START_MIB = 17
# oe-core's bitbake.conf, with usrmerge, for Debian.
DIRECTORIES = {"LIBEXECDIR": "/usr/libexec", "SYSTEMD": "/usr/lib/systemd"}
UNITS = "usr/lib/systemd/system"
ARCH = "amd64"


def host(*command: str | Path) -> str:
    """Run a tool of the host; its output."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def fill_in(file: Path, **words: str) -> str:
    """The text of a recipe's file with the words in it that do_install replaces."""
    text = file.read_text()
    for word, value in {**DIRECTORIES, **words}.items():
        text = text.replace(f"@{word}@", value)
    return text


def oneshot(command: str, more: str = "") -> str:
    """A service that runs a shell command and is up when that has ended; ``more`` are lines of [Unit]."""
    return f"[Unit]\n{more}\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '{command}'\n"


class Build:
    """A root file system to be, and the disk that it gets onto."""

    def __init__(self, scratch: Path, base: Path) -> None:
        self.base = base
        self.scratch = scratch
        self.tree = scratch / "tree"
        self.disk = scratch / "disk"
        # Links cost nothing, as long as nobody writes through them: see merge().
        shutil.copytree(base / "tree", self.tree, symlinks=True, copy_function=os.link)
        merge(kubelet.GUEST / "common", self.tree)
        self.units = ["tmp.mount"]
        host("systemctl", "--quiet", f"--root={self.tree}", "mask", "getty.target")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file into the root file system."""
        file = self.tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def unit(self, name: str, text: str) -> None:
        """Add a unit; one with [Install] is enabled."""
        self.write(f"{UNITS}/{name}", text)
        if "[Install]" in text:
            self.units.append(name)

    def image(self, size_mib: int, boot: dict[str, str] | None = None) -> None:
        """Write the image, as wic makes it, onto a disk of ``size_mib``: the partition table does not fill it.

        ``boot`` are files at the top of the EFI system partition, which else has no file system.
        """
        host("systemctl", "--quiet", f"--root={self.tree}", "enable", *self.units)
        with self.disk.open("wb") as file:
            file.truncate((ROOT_START_MIB + ROOT_MIB + 1) * MIB)
        table = f"""
            label: gpt
            start=1MiB, size=16MiB, type=uefi
            start={ROOT_START_MIB}MiB, size={ROOT_MIB}MiB, type=linux
        """
        subprocess.run(["sfdisk", "--quiet", self.disk], input=table, text=True, check=True)
        offset = ["-E", f"offset={ROOT_START_MIB * MIB}"]
        own = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
        host(*own, "mke2fs", "-q", "-F", "-t", "ext4", *offset, "-d", self.tree, self.disk, f"{ROOT_MIB}M")
        if boot is not None:
            host("mformat", "-i", f"{self.disk}@@{MIB}", "-T", str(16 * MIB // 512), "::")
        for name, text in (boot or {}).items():
            self.write_boot(name, text)
        os.truncate(self.disk, size_mib * MIB)

    def write_boot(self, name: str, text: str) -> None:
        """Write a file to the EFI system partition, as another computer does, with the machine switched off."""
        subprocess.run(["mcopy", "-o", "-i", f"{self.disk}@@{MIB}", "-", f"::{name}"], input=text.encode(), check=True)

    def remove_boot(self, name: str) -> None:
        """Remove such a file."""
        host("mdel", "-i", f"{self.disk}@@{MIB}", f"::{name}")

    def boot(
        self, life: Callable[[Machine], Awaitable[None]], hardware: Sequence[str] = (), words: Sequence[str] = ()
    ) -> None:
        """Switch a machine on that has the disk, take it through ``life``, and pull the plug."""
        log = self.scratch / "console"
        machine = Machine(EMULATORS[ARCH], self.base, self.disk, log, ["rw", "root=/dev/vda2", *words], hardware)

        async def live() -> None:
            async with machine:
                await life(machine)

        try:
            asyncio.run(live())
        finally:
            sys.stdout.writelines(f"{entry}\n" for entry in machine.journal.entries)


@contextmanager
def building() -> Iterator[Build]:
    """A `Build` in a folder that is gone afterwards."""
    tools = (EMULATORS[ARCH].program, "sfdisk", "mke2fs", "sgdisk", "mcopy")
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        pytest.skip(f"{', '.join(missing)}: apt-get install qemu-system-x86 fdisk e2fsprogs gdisk mtools")
    base = root.get(ARCH)
    # On the cache's file system: the tree is made of links to it.
    work = cache.root() / "boot" / "work"
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        yield Build(Path(scratch), base)


def has_started(unit: str) -> Callable[[Entry], bool]:
    """Whether an entry says that a unit's start has ended well."""
    return lambda entry: entry.is_about(unit) and _result(entry) == ("start", "done")


def has_failed(unit: str) -> Callable[[Entry], bool]:
    """Whether an entry says that a unit has not started."""
    return lambda entry: entry.is_about(unit) and _result(entry) in {("start", "failed"), ("start", "dependency")}


def _result(entry: Entry) -> tuple[str | None, str | None]:
    return entry.fields.get("JOB_TYPE"), entry.fields.get("JOB_RESULT")


RECIPES = TOP / "meta-wr-nvidia-k8s" / "recipes-core"
