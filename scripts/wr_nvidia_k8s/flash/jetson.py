# SPDX-License-Identifier: MIT
"""Flash a Jetson from its tegraflash archive: over USB in recovery mode, or its SD card in this machine's reader."""

from __future__ import annotations

import argparse
import grp
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from wr_nvidia_k8s.flash import archive, device, host, image, tegra, usb
from wr_nvidia_k8s.flash.boards import BOARDS
from wr_nvidia_k8s.flash.error import StepFailed
from wr_nvidia_k8s.flash.job import Job
from wr_nvidia_k8s.flash.steps import Step


class JetsonJob(Job):
    """All is checked when it is made; nothing is written before `write`."""

    def __init__(self, options: argparse.Namespace) -> None:
        board = BOARDS[options.board]
        host.check_processor()
        self.image = image.check_file(options.image or image.find(options.board, board), board)
        # What is quickly known comes before the archive, of gigabytes, is read.
        disk = device.check(options.device, 0) if options.device else None
        found = None if disk else usb.find(options.board, board, options.usb_instance)
        self.checksum = image.verify_sha256(self.image)
        self._contents = archive.read(self.image)
        package = tegra.package(self._contents, self.image, board)
        self._keep: bool = options.keep
        self._card: tuple[str, int] | None = None
        if disk:
            command = tegra.card_command(package, disk.path)
            self._card = (disk.path, package.card_bytes())
            device.check(*self._card)
            self.target, sudo = f"the SD card {disk}", bool(os.geteuid())
        else:
            assert found is not None  # noqa: S101 -- one of the two is
            command = tegra.usb_command(package, board, found.port, options.method, options.boot_firmware_only)
            self.target = f"the {'boot firmware' if options.boot_firmware_only else 'storage'} of {found}"
            sudo = bool(os.geteuid()) and not _may_flash(command, found.node)
        script = command[0].removeprefix("./")
        host.check_commands(host.for_package(package, script), sudo=sudo, yaml=self._contents.imports_yaml)
        host.check_room(host.scratch(), self._contents.data)
        self.facts = {
            "machine": package.machine, "l4t": package.l4t, "root_device": package.root_device or None,
            "method": script, "device": disk.path if disk else None, "usb": found.port if found else None,
        }  # fmt: skip
        self.notes = []
        if not self.checksum:
            self.notes.append(f"no {self.image.name}.sha256 beside it: only the archive's own checksums were verified")
        if script != tegra.DOFLASH and not host.has("bmaptool"):
            self.notes.append("bmaptool is not on PATH: writing takes much longer (sudo apt-get install bmap-tools)")
        self.afterwards = (
            "put the card into the module's slot; the first time, or after a new L4T release, also write the boot "
            f"firmware: scripts/flash {options.board} --boot-firmware-only"
            if disk else "the board restarts with what was written"
        )  # fmt: skip
        self._step = Step(
            f"Write {self.target}" + (", as root" if sudo else ""), command,
            root=sudo or bool(disk), device=disk.path if disk else None, captured=True,
        )  # fmt: skip

    def plan(self) -> list[tuple[str, str]]:
        folder, image = shlex.quote(str(host.scratch())), shlex.quote(str(self.image))
        tool = f"unzip -q {image} -d" if self.image.suffix == ".zip" else f"tar -xzf {image} -C"
        size = f"{len(self._contents.sizes)} files, {device.human(self._contents.data)}"
        return [
            (f"Unpack the archive ({size})", f'DIR=$(mktemp -d -p {folder} wr-flash-XXXXXXXX) && {tool} "$DIR"'),
            (self._step.title, f'cd "$DIR" && {self._step.shell()}'),
            *([] if self._keep else [("Remove the folder", 'rm -rf "$DIR"')]),
        ]

    def write(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="wr-flash-", dir=host.scratch()))
        keep = self._keep
        try:
            archive.unpack(self.image, folder)
            if self._card:
                device.check(*self._card)  # again: unpacking took a while
            self._step.run(folder)
        except (StepFailed, KeyboardInterrupt):
            keep = True  # for its logs
            raise
        finally:
            if keep:
                print(f"the unpacked archive and its logs: {folder}", file=sys.stderr)
            else:
                shutil.rmtree(folder, ignore_errors=True)


def _may_flash(command: list[str], node: Path) -> bool:
    """Whether this user needs no root: meta-tegra's "Avoiding sudo" is a udev rule for the board, and group disk."""
    try:
        in_disk = grp.getgrnam("disk").gr_gid in os.getgroups()
    except KeyError:
        in_disk = False
    return device.writable(node) and (command[0] == f"./{tegra.DOFLASH}" or in_disk)
