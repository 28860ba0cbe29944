# SPDX-License-Identifier: MIT
"""The root file system of the virtual machine: Debian, the plugin's package, a board's files and a kubelet."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from wr_nvidia_k8s.build import plugin_package
from wr_nvidia_k8s.lab.vm import board, kubelet
from wr_nvidia_k8s.lab.vm.tools import merge, run

_SIZE = "3G"  # of a sparse file


def make(base: Path, arch: str, node: str, package: Path, disk: Path, scratch: Path) -> None:
    """Write the file system as the file `disk`.

    base: a folder of `vm.root`. node: a kind of `vm.kubelet`. package: the plugin's files. scratch: a folder
    that does not exist yet, on the file system of `base`. Raises AssemblyError and DebianError.
    """
    tree = scratch / "tree"
    # Links cost nothing, as long as nobody writes through them: see merge().
    shutil.copytree(base / "tree", tree, symlinks=True, copy_function=os.link)
    merge(kubelet.GUEST / "common", tree)
    units = ["tmp.mount", *kubelet.install(node, arch, tree)]
    board.install(tree, scratch / "board")
    merge(package, tree)
    # The image's postinst scripts do the same.
    run(["systemctl", "--quiet", f"--root={tree}", "enable", *units, *plugin_package.units()])
    # Nobody logs in.
    run(["systemctl", "--quiet", f"--root={tree}", "mask", "getty.target"])
    # In a user namespace where need be: the files are to belong to root there.
    own = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
    run([*own, "mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", tree, disk, _SIZE])
