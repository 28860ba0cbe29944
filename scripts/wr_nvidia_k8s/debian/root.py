# SPDX-License-Identifier: MIT
"""A directory tree of Debian packages of any architecture, without installing anything.

apt resolves and downloads (`debian.apt`), tar unpacks. No maintainer script runs and no root is needed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from wr_nvidia_k8s.debian.apt import Apt, DebianError, codename

# Merged /usr (base-files and usrmerge do this on a real system).
LINKS = ("bin", "sbin", "lib", "lib64")


def download(arch: str, packages: Sequence[str], scratch: Path) -> list[Path]:
    """Download `packages` of `arch` and all they depend on; return the files, sorted.

    Raises DebianError. `scratch` is a folder that does not exist yet and holds apt's state and the packages.
    """
    Apt(codename(), arch, scratch)("-y", "--download-only", "install", *packages)
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
