# SPDX-License-Identifier: MIT
"""A kernel's own Kconfig: which options of a configuration remain where each depends on others.

It is what kernel-yocto.bbclass does, which merges all fragments into one list and leaves the rest to the kernel's
"alldefconfig": what the list names gets its value where that can be, all else its default.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kernel import kernel_config
from wr_nvidia_k8s.common.cache import Cached, say
from wr_nvidia_k8s.debian.apt import DebianError
from wr_nvidia_k8s.debian.archive import Archive

# All that "make alldefconfig" reads; the sources are 15 times as much.
_PARTS = (
    "Kconfig*",
    "Makefile*",
    "Kbuild*",
    "scripts/*",
    "*/Kconfig*",
    "*/Makefile*",
    "*/Kbuild*",
    "*/scripts/*",
    "*/configs/*",
)
_ARCH = {"arm64": ["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"], "x86_64": ["ARCH=x86_64"]}
_NEEDED = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "bison": "bison",
    "flex": "flex",
    "gcc": "gcc",
    "make": "make",
}


class KconfigError(Exception):
    """The kernel refuses to be configured; the text is what make said."""


def _tools() -> None:
    """Skip the test where a tool that make runs is missing."""
    if missing := [package for name, package in _NEEDED.items() if not shutil.which(name)]:
        pytest.skip(f"{', '.join(missing)}: apt-get install {' '.join(missing)}")


def debian_kernel(release: str, version: str) -> Path:
    """The Kconfig of Debian's kernel ``version``, from its ``release``; fetched once, as a package of 140 MB."""
    _tools()

    def make(folder: Path) -> None:
        say(f"fetching the sources of Linux {version} from Debian's {release}")
        Archive(release, folder / "apt").binary([f"linux-source-{version}"], folder / "package")
        (folder / "tree").mkdir()
        tarball = folder / f"package/usr/src/linux-source-{version}.tar.xz"
        parts = [f"linux-source-{version}/{part}" for part in _PARTS]
        unpack = [
            "tar",
            "-xJf",
            str(tarball),
            "-C",
            str(folder / "tree"),
            "--strip-components=1",
            "--wildcards",
            *parts,
        ]
        subprocess.run(unpack, check=True)
        for scratch in ("apt", "package"):
            shutil.rmtree(folder / scratch)

    try:
        return Cached("kernel/linux", release, version, *_PARTS).get(make) / "tree"
    except DebianError as error:
        pytest.skip(f"Linux {version} from Debian's {release}: {error}")


def resolve(tree: Path, arch: str, config: str, output: Path) -> dict[str, str]:
    """The whole configuration that the kernel in ``tree`` makes of ``config`` (a file's text): the options set.

    ``output`` is a folder for make's use, which may be used again for the same kernel.
    """
    _tools()
    output.mkdir(exist_ok=True)
    given = output / "given.config"
    given.write_text(config)
    done = subprocess.run(
        ["make", "-s", "-C", str(tree), f"O={output}", f"KCONFIG_ALLCONFIG={given}", *_ARCH[arch], "alldefconfig"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise KconfigError(done.stdout + done.stderr)
    return kernel_config.parse((output / ".config").read_text())


def lost(wanted: dict[str, str], resolved: dict[str, str]) -> dict[str, str]:
    """The options that are not as ``wanted``, with what they are instead."""
    return {name: resolved.get(name, "n") for name, value in wanted.items() if resolved.get(name, "n") != value}
