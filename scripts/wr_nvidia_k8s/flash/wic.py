# SPDX-License-Identifier: MIT
"""Write a disk image (wic) to a disk of this machine, with bmaptool."""

from __future__ import annotations

import argparse
from pathlib import Path
from xml.etree import ElementTree

from wr_nvidia_k8s.flash import device, host, image
from wr_nvidia_k8s.flash.boards import BOARDS
from wr_nvidia_k8s.flash.error import ImageError, ImageMissing, Interrupted, StepFailed, UsageError
from wr_nvidia_k8s.flash.job import Checks, Job
from wr_nvidia_k8s.flash.root import HELD
from wr_nvidia_k8s.flash.steps import Step


class WicJob(Job):
    """All is checked when it is made; nothing is written before `write`."""

    def __init__(self, options: argparse.Namespace) -> None:
        board = BOARDS[options.board]
        if not options.device:
            raise UsageError(f"expected --device for {options.board}: the disk to write; lsblk lists them")
        checks = Checks(all=options.dry_run)
        disk, bmap, size = None, None, 0
        self.image, self.checksum = Path(), None
        with checks:
            disk = device.check(options.device)
        with checks:
            self.image = image.check_file(options.image or image.find(options.board, board), board)
            with checks:
                image.check_wic_machine(self.image, board)
            with checks:
                bmap = find_bmap(self.image)
                size = image_size(bmap)
        root = bool(disk and not device.writable(disk.path))
        with checks:
            host.check_commands(host.for_wic(self.image), sudo=root)
        with checks:
            if disk:
                disk.require(size)
        with checks:
            if self.image.is_file():
                self.checksum = image.verify_sha256(self.image)
        checks.done()
        assert disk and bmap  # noqa: S101 -- or done() had raised
        self.target = f"the disk {disk}"
        self.content = disk.content
        self.facts = {"machine": board.machine, "method": "bmaptool", "device": disk.path, "bmap": str(bmap)}
        self.notes = []
        self.afterwards = "connect the disk to the machine and boot it from there (UEFI)"
        copy = ["bmaptool", "copy", "--bmap", str(bmap), str(self.image)]
        # A copy into nothing compares each block with its SHA-256 in the bmap before the disk is touched.
        self._verify = Step("Verify the image against its block map", [*copy, "/dev/null"],
                            advice="nothing was written; copy image and bmap again, or build them again")  # fmt: skip
        self._copy = Step(
            f"Write {self.target}" + (", as root" if root else ""), [*copy, HELD], root, disk,
            advice="the lines above say why; what is on the disk is incomplete: try again, or another disk",
        )  # fmt: skip

    def plan(self) -> list[tuple[str, str]]:
        return [(step.title, step.shell()) for step in (self._verify, self._copy)]

    def write(self) -> None:
        # The disk first: nothing else comes by its name while the image is read.
        with self._copy.taken(Path.cwd()) as copy:
            try:
                self._verify.run(Path.cwd())
            except StepFailed as error:
                raise ImageError(str(error)) from None
            except Interrupted as error:
                raise KeyboardInterrupt(*error.args) from None  # nothing was written
            copy()


def find_bmap(image: Path) -> Path:
    """The block map that BitBake makes beside the image. Raises `ImageMissing`."""
    for name in (image, image.resolve()):
        bmap = name.with_name(f"{name.name.split('.wic')[0]}.wic.bmap")
        if bmap.is_file():
            return bmap
    raise ImageMissing(
        f"expected the block map {image.name.split('.wic')[0]}.wic.bmap beside {image}, found none: it says how large "
        'the image is and what each block must be; IMAGE_FSTYPES += "wic.bmap" makes it'
    )


def image_size(bmap: Path) -> int:
    """Bytes. Source: the bmap format's ImageSize."""
    try:
        return int(ElementTree.parse(bmap).findtext("ImageSize", ""))
    except (ElementTree.ParseError, ValueError) as error:
        raise ImageError(f"expected a block map with its ImageSize in {bmap}, found none ({error})") from None
