# SPDX-License-Identifier: MIT
"""Single packages of one Debian release, binary or source, unpacked and not configured."""

from __future__ import annotations

import re
from pathlib import Path

from wr_nvidia_k8s.common.process import run
from wr_nvidia_k8s.debian.apt import Apt, DebianError, architecture


class Archive:
    """The Debian release ``suite`` (its code name), with apt's state below the directory ``scratch``.

    Raises DebianError, as the methods do.
    """

    def __init__(self, suite: str, scratch: Path) -> None:
        self.scratch = scratch
        self._apt = Apt(suite, architecture(), scratch, source=True)

    def binary(self, packages: list[str], into: Path) -> None:
        """Unpack binary packages of this machine's architecture, unconfigured, below the directory ``into``."""
        debs = self.scratch / "debs"
        debs.mkdir()
        self._apt("download", *packages, cwd=debs)
        into.mkdir(parents=True, exist_ok=True)
        for deb in sorted(debs.iterdir()):
            run(["dpkg-deb", "--extract", deb, into], error=DebianError)

    def source(self, package: str, into: Path) -> str:
        """Unpack a source package with Debian's patches as the new directory ``into``; its version."""
        tarballs = self.scratch / "source"
        tarballs.mkdir()
        self._apt("source", "--download-only", package, cwd=tarballs)
        into.parent.mkdir(parents=True, exist_ok=True)
        dsc = next(tarballs.glob("*.dsc"))
        # --no-check: that would be the uploader's own signature, whose keyring few machines have.
        # The archive's signature and the checksums have been checked by apt.
        run(["dpkg-source", "--no-check", "--extract", dsc, into], error=DebianError)
        match = re.search(r"^Version: (\S+)$", dsc.read_text(), re.MULTILINE)
        assert match is not None  # noqa: S101 -- dpkg-source has read it
        return match[1]
