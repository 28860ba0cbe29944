# SPDX-License-Identifier: MIT
"""Flash a Jetson from its tegraflash archive: over USB in recovery mode, or its SD card in this machine's reader."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from wr_nvidia_k8s.flash import archive, device, host, image, tegra, usb
from wr_nvidia_k8s.flash.boards import BOARDS
from wr_nvidia_k8s.flash.error import Interrupted, StepFailed
from wr_nvidia_k8s.flash.job import Checks, Job
from wr_nvidia_k8s.flash.steps import Step


class JetsonJob(Job):
    """All is checked when it is made; nothing is written before `write`."""

    def __init__(self, options: argparse.Namespace) -> None:
        board = BOARDS[options.board]
        checks = Checks(all=options.dry_run)
        self.image, self.checksum = Path(), None
        self._contents, package, disk, found = archive.Contents(), None, None, None
        with checks:
            host.check_processor()
        # What is quickly known comes before the archive, of gigabytes, is read.
        with checks:
            if options.device:
                disk = device.check(options.device)
            else:
                found = usb.find(options.board, board, options.usb_instance)
        with checks:
            self.image = image.check_file(options.image or image.find(options.board, board), board)
            host.check_commands(host.to_unpack(self.image), sudo=False)
            with checks:
                self.checksum = image.verify_sha256(self.image)
            self._contents = archive.read(self.image)
            package = tegra.package(self._contents, self.image, board)
        command, sudo = [""], False
        with checks:
            if package and options.device:
                command = tegra.card_command(package, disk.path if disk else options.device)
                if disk:
                    disk.require(package.card_bytes())
            elif package:
                port = found.port if found else "BUS-PORT"
                command = tegra.usb_command(package, board, port, options.method, options.boot_firmware_only)
            # initrd-flash and dosdcard.sh partition and would ask for sudo themselves; for doflash.sh, udev rules do.
            by_user = found and command[0] == f"./{tegra.DOFLASH}" and device.writable(found.node)
            sudo = bool(os.geteuid()) and not by_user
        script = command[0].removeprefix("./")
        with checks:
            if package and script:
                host.check_commands(host.for_package(package, script), sudo=sudo, yaml=self._contents.imports_yaml)
        with checks:
            host.check_room(host.scratch(), self._contents.data)
        checks.done()
        assert package and (disk or found)  # noqa: S101 -- or done() had raised
        part = "boot firmware" if options.boot_firmware_only else "storage"
        self.target = f"the SD card {disk}" if disk else f"the {part} of {found}"
        self.content = disk.content if disk else []
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
        self._keep: bool = options.keep
        self._step = Step(
            f"Write {self.target}" + (", as root" if sudo else ""), command, root=sudo, device=disk, captured=True
        )

    def plan(self) -> list[tuple[str, str]]:
        folder, image = shlex.quote(str(host.scratch())), shlex.quote(str(self.image))
        endings = {".zip": f"unzip -q {image} -d", ".zst": f"tar --zstd -xf {image} -C"}
        tool = endings.get(self.image.suffix, f"tar -xzf {image} -C")
        size = f"{len(self._contents.sizes)} files, {device.human(self._contents.data)}"
        return [
            (f"Unpack the archive ({size})", f'DIR=$(mktemp -d -p {folder}) && {tool} "$DIR"'),
            (self._step.title, f'cd "$DIR" && {self._step.shell()}'),
            *([] if self._keep else [("Remove the folder", 'rm -rf "$DIR"')]),
        ]

    def write(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="wr-flash-", dir=host.scratch()))
        keep = self._keep
        try:
            # Root and the card first: a refusal leaves nothing, and no other card comes by this name meanwhile.
            with self._step.taken(folder) as go:
                archive.unpack(self.image, folder)
                go()
        except (StepFailed, Interrupted):
            keep = True  # for its logs
            raise
        finally:
            if keep:
                print(f"the unpacked archive and its logs: {folder}", file=sys.stderr)
            else:
                shutil.rmtree(folder, ignore_errors=True)
