# SPDX-License-Identifier: MIT
"""The simulated Jetson as part of a virtual machine: the plugin must find it without being told where it is.

Its files are on the root file system and its nodes in /dev. The kernel provides /sys: a machine with a device tree
(arm64) gets the board's model and SoC from it; one without is recognised by L4T's release file.
"""

from __future__ import annotations

import re
from pathlib import Path

from wr_nvidia_k8s.lab.jetson import BOARDS, lay_out
from wr_nvidia_k8s.lab.vm.tools import merge, run

NAME = "jetson-orin-nano"
BOARD = BOARDS[NAME]


def install(tree: Path, scratch: Path) -> None:
    """Put the board's files into the root file system `tree`. scratch: a folder that does not exist yet."""
    lay_out(scratch, NAME)
    for name in ("etc", "usr"):
        merge(scratch / name, tree / name)
    nodes = [f"c+ {node} 0666 root root - 1:3\n" for node in BOARD.nodes]  # that of /dev/null
    (tree / "etc/tmpfiles.d/50-board.conf").write_text("".join(nodes), encoding="utf-8")


def amend(device_tree: Path) -> None:
    """Turn the device tree of a virtual machine (a .dtb file) into the board's. Raises AssemblyError."""
    run(["fdtput", "-t", "s", device_tree, "/", "model", BOARD.model])
    run(["fdtput", "-t", "s", device_tree, "/", "compatible", *BOARD.compatible])


def description(*, has_device_tree: bool) -> str:
    """How the plugin describes the board: model, SoC, release."""
    model, soc = "unknown board", "unknown"
    if has_device_tree:
        model, soc = BOARD.model, BOARD.compatible[-1].removeprefix("nvidia,")
    release = ".".join(re.findall(r"R(\d+) .*REVISION: ([\d.]+)", BOARD.release)[0])
    return f"{model}, SoC {soc}, L4T R{release}"
