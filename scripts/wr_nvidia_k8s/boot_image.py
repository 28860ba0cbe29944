# SPDX-License-Identifier: MIT
"""The root file system of the virtual machine: Debian, the plugin's package, a board's files and a kubelet."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from wr_nvidia_k8s import boot_kubelet, boot_root, plugin_package
from wr_nvidia_k8s.simulated_jetson import BOARDS, lay_out

BOARD = "jetson-orin-nano"
_SIZE = "3G"  # of a sparse file


def make(base: Path, arch: str, kubelet: str, package: Path, disk: Path, scratch: Path) -> None:
    """Write the file system as the file `disk`.

    base: a folder of boot_root. kubelet: a kind of boot_kubelet. package: the plugin's files. scratch: a folder
    that does not exist yet, on the file system of `base`. Raises DebianError.
    """
    tree = scratch / "tree"
    # Links cost nothing; what changes a file here puts a new one in its place.
    shutil.copytree(base / "tree", tree, symlinks=True, copy_function=os.link)
    shutil.copytree(boot_kubelet.GUEST / "common", tree, dirs_exist_ok=True)
    units = ["tmp.mount", *boot_kubelet.install(kubelet, arch, tree)]
    _lay_out_board(tree, scratch / "board")
    shutil.copytree(package, tree, symlinks=True, dirs_exist_ok=True)
    # The image's postinst scripts do the same.
    boot_root.run(["systemctl", "--quiet", f"--root={tree}", "enable", *units, *plugin_package.units()])
    # Nobody logs in.
    boot_root.run(["systemctl", "--quiet", f"--root={tree}", "mask", "getty.target"])
    # In a user namespace where need be: the files are to belong to root there.
    own = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
    boot_root.run([*own, "mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", tree, disk, _SIZE])


def _lay_out_board(tree: Path, board: Path) -> None:
    """A simulated Jetson's files on / itself: the plugin is to find them without being told where.

    What lies below /sys cannot be had in a machine that has a /sys of its own; its nodes are made at boot.
    """
    lay_out(board, BOARD)
    for name in ("etc", "usr"):
        shutil.copytree(board / name, tree / name, dirs_exist_ok=True)
    nodes = [f"c+ {node} 0666 root root - 1:3\n" for node in BOARDS[BOARD].nodes]  # that of /dev/null
    (tree / "etc/tmpfiles.d/50-board.conf").write_text("".join(nodes), encoding="utf-8")
