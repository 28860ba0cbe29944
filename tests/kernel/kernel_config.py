# SPDX-License-Identifier: MIT
"""The configuration that this layer asks of each kernel, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wr_nvidia_k8s.common.paths import TOP

FEATURES = TOP / "meta-wr-nvidia-k8s/recipes-kernel/linux/nvidia-k8s-kmeta/features/nvidia-k8s"
COMMON = FEATURES / "containers.cfg"
BEFORE = FEATURES / "containers-before-5.2.cfg"
SINCE = FEATURES / "containers-from-5.2.cfg"
GPU = FEATURES / "nvidia-gpu.cfg"

_LINE = re.compile(r"CONFIG_(?P<set>\w+)=(?P<value>.+)|# CONFIG_(?P<unset>\w+) is not set|\s*(#(?! CONFIG_).*)?")


@dataclass(frozen=True)
class Kernel:
    """A kernel of one of the boards."""

    version: str
    fragments: tuple[Path, ...]
    arch: str = "arm64"

    def __str__(self) -> str:
        return f"{self.version}-{self.arch}"


KERNELS = [
    Kernel("4.9.337", (COMMON, BEFORE)),  # L4T R32.7, JetPack 4
    Kernel("5.10.216", (COMMON, SINCE)),  # L4T R35, JetPack 5
    Kernel("5.15.185", (COMMON, SINCE)),  # L4T R36, JetPack 6
    Kernel("6.6.63", (COMMON, SINCE)),  # linux-yocto of LTS24, qemuarm64
    Kernel("6.6.63", (COMMON, SINCE, GPU), "x86_64"),  # the same on a PC with an NVIDIA card
]


class FragmentError(Exception):
    """A line that is no line of a configuration fragment, or an option that has two values."""


def read(fragment: Path) -> dict[str, str]:
    """The options of a configuration fragment, without CONFIG_; "n" of those that are not to be set."""
    found: dict[str, str] = {}
    for number, line in enumerate(fragment.read_text().splitlines(), 1):
        match = _LINE.fullmatch(line)
        if not match:
            raise FragmentError(f"{fragment.name}:{number}: expected an option or a comment, found {line!r}")
        option = match["set"] or match["unset"]
        if option in found:
            raise FragmentError(f"{fragment.name}:{number}: {option} has a value already, {found[option]}")
        if option:
            found[option] = match["value"] or "n"
    return found


def merge(fragments: Iterable[Path]) -> dict[str, str]:
    """What the fragments make together; that two of them name one option is an error, even with the same value."""
    merged: dict[str, str] = {}
    for fragment in fragments:
        options = read(fragment)
        if twice := sorted(merged.keys() & options.keys()):
            raise FragmentError(f"{fragment.name}: {', '.join(twice)} in another fragment of the same kernel already")
        merged |= options
    return merged


def text(options: dict[str, str]) -> str:
    """``options`` as a configuration file."""
    lines = (f"# CONFIG_{k} is not set" if v == "n" else f"CONFIG_{k}={v}" for k, v in options.items())
    return "".join(f"{line}\n" for line in lines)


def parse(config: str) -> dict[str, str]:
    """The options of a kernel's whole configuration (.config) that are set."""
    return dict(re.findall(r"(?m)^CONFIG_(\w+)=(.+)$", config))
