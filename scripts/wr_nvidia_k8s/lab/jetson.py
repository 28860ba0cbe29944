# SPDX-License-Identifier: MIT
"""A folder that imitates a Jetson: the files by which software recognises the board it runs on.

    python -m wr_nvidia_k8s.lab.jetson DIR [--board jetson-orin-nano]

The layout is that of a flashed board: L4T's release file, the kernel's soc_device and device tree
interfaces in sysfs, the container runtime's CSV files and the device nodes that they name. A program
that takes a root folder (the plugin's --driver-root and --dev-root) cannot tell it from the board.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Board:
    """What differs between boards.

    soc_id: the chip's number as the kernel's soc_device prints it.
    compatible: the device tree's list, from the most to the least specific.
    """

    model: str
    soc_id: str
    compatible: tuple[str, ...]
    release: str
    nodes: tuple[str, ...]


_HOST1X_NODES = ("/dev/nvhost-ctrl-gpu", "/dev/nvhost-gpu", "/dev/nvhost-prof-gpu", "/dev/nvhost-as-gpu", "/dev/nvmap")

BOARDS = {
    "jetson-orin-nano": Board(
        "NVIDIA Jetson Orin Nano Developer Kit", "35",
        ("nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"),
        "# R36 (release), REVISION: 5.0, GCID: 43688277, BOARD: generic, EABI: aarch64",
        ("/dev/nvgpu/igpu0/as", "/dev/nvgpu/igpu0/channel", "/dev/nvgpu/igpu0/ctrl", "/dev/nvmap"),
    ),
    "jetson-xavier-nx": Board(
        "NVIDIA Jetson Xavier NX Developer Kit", "25",
        ("nvidia,p3509-0000+p3668-0000", "nvidia,tegra194"),
        "# R35 (release), REVISION: 6.1, GCID: 39721438, BOARD: t186ref, EABI: aarch64",
        _HOST1X_NODES,
    ),
    "jetson-nano": Board(
        "NVIDIA Jetson Nano Developer Kit", "33",
        ("nvidia,p3450-0000", "nvidia,jetson-nano", "nvidia,tegra210"),
        "# R32 (release), REVISION: 7.6, GCID: 38171779, BOARD: t210ref, EABI: aarch64",
        _HOST1X_NODES,
    ),
}


def lay_out(root: Path, board: str = "jetson-orin-nano") -> Path:
    """Write the board's files below `root`, which may exist; returns it.

    Device nodes are plain files: software only checks that they exist. Raises KeyError for a
    board that is not in BOARDS.
    """
    described = BOARDS[board]
    files = {
        "etc/nv_tegra_release": described.release + "\n",
        "sys/devices/soc0/family": "Tegra\n",
        "sys/devices/soc0/machine": described.model + "\n",
        "sys/devices/soc0/soc_id": described.soc_id + "\n",
        "sys/firmware/devicetree/base/model": described.model + "\0",
        "sys/firmware/devicetree/base/compatible": "".join(entry + "\0" for entry in described.compatible),
        "etc/nvidia-container-runtime/host-files-for-container.d/devices.csv":
            "".join(f"dev, {node}\n" for node in (*described.nodes, "/dev/not-on-this-board")),
        "etc/nvidia-container-runtime/host-files-for-container.d/l4t.csv":
            "lib, /usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1.1\n",
        "usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1.1": "",
        **{node.lstrip("/"): "" for node in described.nodes},
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulated-jetson", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("root", type=Path, metavar="DIR")
    parser.add_argument("--board", choices=sorted(BOARDS), default="jetson-orin-nano")
    arguments = parser.parse_args()
    lay_out(arguments.root, arguments.board)
    return 0


if __name__ == "__main__":
    sys.exit(main())
