# SPDX-License-Identifier: MIT
"""Packages of one Debian release, fetched beside the system instead of into it.

The mirror is the one this machine's own apt uses. Everything else (list of sources, package lists, cache)
is private to a scratch directory, so that neither the user's apt configuration nor what is installed
changes, and no root is needed. apt verifies what it fetches as always: the release file against
Debian's archive keys, every file against the checksums below it.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from wr_nvidia_k8s.common.errors import UserError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")  # package debian-archive-keyring
# As root apt fetches as a user of its own, who cannot reach a directory below /root; it would do the same after a
# long warning.
_UNSANDBOXED = "-oAPT::Sandbox::User=root"


class ArchiveError(UserError):
    """A package cannot be had; the text says what was expected, what was found and what to do."""


def mirrors(scratch: Path) -> list[str]:
    """The addresses from which this machine's apt gets Debian's main archive.

    Where apt has no package lists yet, it fetches some into the new directory ``scratch``. Raises ArchiveError
    where there is no such address.
    """
    found, others = _sources([])
    complaint = ""
    if not found:
        (scratch / "partial").mkdir(parents=True)
        own_lists = [f"-oDir::State::Lists={scratch}", _UNSANDBOXED]
        try:
            _run(["apt-get", *own_lists, "update", "-qq"])
        except ArchiveError as error:  # which may be about a source that is none of ours
            complaint = f"\n{error}"
        found, others = _sources(own_lists)
    if not found:
        raise ArchiveError(
            f"expected Debian's main archive among this machine's apt sources, found {', '.join(others) or 'none'}; "
            f"add it, or use a Debian 12 container{complaint}"
        )
    return found


def _sources(options: list[str]) -> tuple[list[str], list[str]]:
    """The addresses of Debian's main archive, and all others, that apt knows from its package lists."""
    fields = "$(REPO_URI)|$(COMPONENT)|$(LABEL)"
    targets = _run(["apt-get", *options, "indextargets", "--format", fields, "Created-By: Packages"])
    debian: dict[str, None] = {}
    others: dict[str, None] = {}
    for line in targets.splitlines():
        uri, component, label = line.split("|")
        (debian if (component, label) == ("main", "Debian") else others)[uri] = None
    return list(debian), list(others)


class Archive:
    """Debian's release ``suite`` (its code name), with apt's state below the directory ``scratch``."""

    def __init__(self, suite: str, scratch: Path) -> None:
        self.suite = suite
        self.scratch = scratch
        signed_by = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        sources = scratch / "sources.list"
        for folder in ("lists/partial", "cache/archives/partial"):
            (scratch / folder).mkdir(parents=True)
        found = mirrors(scratch / "own")
        lines = (f"{kind} {signed_by}{uri} {suite} main\n" for uri in found for kind in ("deb", "deb-src"))
        sources.write_text("".join(lines))
        self._options = [
            f"-oDir::Etc::SourceList={sources}",
            "-oDir::Etc::SourceParts=/dev/null",
            f"-oDir::State::Lists={scratch / 'lists'}",
            f"-oDir::Cache={scratch / 'cache'}",
            "-oAcquire::Languages=none",
            _UNSANDBOXED,
        ]
        # Without this a mirror out of reach is only a warning, and what follows finds no packages.
        self._apt("update", "-qq", "-oAPT::Update::Error-Mode=any")

    def binary(self, packages: list[str], into: Path) -> None:
        """Unpack binary packages of this machine's architecture, unconfigured, below the directory ``into``."""
        debs = self.scratch / "debs"
        debs.mkdir()
        self._apt("download", "-qq", *packages, cwd=debs)
        into.mkdir(parents=True, exist_ok=True)
        for deb in sorted(debs.iterdir()):
            _run(["dpkg-deb", "--extract", str(deb), str(into)])

    def source(self, package: str, into: Path) -> str:
        """Unpack a source package with Debian's patches as the new directory ``into``; its version."""
        tarballs = self.scratch / "source"
        tarballs.mkdir()
        self._apt("source", "-qq", "--download-only", package, cwd=tarballs)
        into.parent.mkdir(parents=True, exist_ok=True)
        dsc = next(tarballs.glob("*.dsc"))
        # --no-check: that would be the uploader's own signature, whose keyring few machines have.
        # The archive's signature and the checksums have been checked by apt.
        _run(["dpkg-source", "--no-check", "--extract", str(dsc), str(into)])
        match = re.search(r"^Version: (\S+)$", dsc.read_text(), re.MULTILINE)
        assert match is not None  # noqa: S101 -- dpkg-source has read it
        return match[1]

    def _apt(self, *arguments: str, cwd: Path | None = None) -> str:
        try:
            return _run(["apt-get", *self._options, *arguments], cwd)
        except ArchiveError as error:
            sources = (self.scratch / "sources.list").read_text()
            raise ArchiveError(f"{error}\nwith the apt sources\n{sources}expected them to be reachable") from None


def _run(command: list[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise ArchiveError(
            f"expected the command {error.filename}, found none: this needs Debian with dpkg-dev"
        ) from None
    if done.returncode:
        shown = " ".join(part for part in command if not part.startswith("-o"))
        raise ArchiveError(f"{shown}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout
