# SPDX-License-Identifier: MIT
"""A directory tree of Debian packages of any architecture, without installing anything.

apt resolves and downloads with lists, state and architecture of its own, so a foreign architecture need not be added
to the system's dpkg; `dpkg-deb -x` unpacks. No maintainer script runs and no root is needed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.debian import archive

MAIN = "main"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Merged /usr (base-files and usrmerge do this on a real system).
LINKS = ("bin", "sbin", "lib", "lib64")


class DebianError(UserError):
    """Packages could not be had; the text says which step failed and how."""


def _run(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DebianError(
            f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}\n"
            "expected a Debian mirror to be reachable with the system's apt settings; try: apt-get update"
        )
    return done.stdout


def codename() -> str:
    """The release this machine runs, such as bookworm."""
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines() if "=" in line
    )
    if release.get("ID", "").strip('"') != "debian":
        raise DebianError(f"expected Debian in /etc/os-release, found ID={release.get('ID', 'nothing')}")
    return release["VERSION_CODENAME"].strip('"')


def sources(release: str, scratch: Path) -> str:
    """apt sources (deb822) for `release`, from the mirrors that this system uses.

    Where apt has no package lists yet, some are fetched below ``scratch``. Raises DebianError.
    """
    fields = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)"
    lines = _run(["apt-get", "indextargets", "--format", fields, "Created-By: Packages"]).splitlines()
    found = []
    for uri, suite, component, signed_by in sorted({tuple(line.split("|")) for line in lines}):
        if component == MAIN and suite in (release, f"{release}-updates", f"{release}-security"):
            found.append((uri, suite, signed_by if signed_by.startswith("/") else KEYRING))
    if not found:  # apt has no package lists yet
        try:
            found = [(uri, release, KEYRING) for uri in archive.mirrors(scratch / "mirrors")]
        except archive.ArchiveError as error:
            raise DebianError(str(error)) from error
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {MAIN}\nSigned-By: {signed_by}\n"
        for uri, suite, signed_by in found
    )


def _apt(scratch: Path, arch: str) -> list[str]:
    """The apt-get command whose state is below `scratch`."""
    for folder in ("lists/partial", "archives/partial", "sources.d"):
        (scratch / folder).mkdir(parents=True)
    (scratch / "status").touch()
    (scratch / "debian.sources").write_text(sources(codename(), scratch), encoding="utf-8")
    options = {
        "APT::Architecture": arch,
        "APT::Architectures": arch,
        "APT::Install-Recommends": "false",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "true",
        "Dir::Cache": str(scratch),
        "Dir::Cache::Archives": str(scratch / "archives"),
        "Dir::Etc::SourceList": str(scratch / "debian.sources"),
        "Dir::Etc::SourceParts": str(scratch / "sources.d"),
        "Dir::State::Lists": str(scratch / "lists"),
        "Dir::State::Status": str(scratch / "status"),
    }
    if os.geteuid() == 0:
        # The scratch folder may be below /root, where apt's own user cannot go; apt would do the same with a warning.
        options["APT::Sandbox::User"] = "root"
    return ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]


def download(arch: str, packages: Sequence[str], scratch: Path) -> list[Path]:
    """Download `packages` of `arch` and all they depend on; return the files, sorted.

    Raises DebianError. `scratch` is a folder that does not exist yet and holds apt's state and the packages.
    """
    apt = _apt(scratch, arch)
    _run([*apt, "update"])
    _run([*apt, "-y", "--download-only", "install", *packages])
    return sorted((scratch / "archives").glob("*.deb"))


def unpack(target: Path, arch: str, packages: Sequence[str], scratch: Path) -> list[str]:
    """Unpack `packages` of `arch` and all they depend on into `target`; return the files' names, sorted.

    Raises DebianError. `scratch` is a folder that does not exist yet and holds apt's state and the packages.
    """
    archives = download(arch, packages, scratch)
    for name in LINKS:
        (target / "usr" / name).mkdir(parents=True, exist_ok=True)
        (target / name).symlink_to(f"usr/{name}")
    for deb in archives:
        # Not dpkg-deb -x: it would put a directory in the place of the merged-/usr links.
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as unpacked:
            _run_tar(target, unpacked)
    return [deb.name for deb in archives]


def _run_tar(target: Path, archive: subprocess.Popen[bytes]) -> None:
    options = ["--no-same-owner", "--keep-directory-symlink", "--exclude=./usr/share/doc", "--exclude=./usr/share/man"]
    done = subprocess.run(
        ["tar", "-x", "-C", target, *options], stdin=archive.stdout, capture_output=True, text=True, check=False
    )
    if archive.wait() or done.returncode:
        raise DebianError(f"{archive.args!r} cannot be unpacked into {target}: {done.stderr.strip()}")
