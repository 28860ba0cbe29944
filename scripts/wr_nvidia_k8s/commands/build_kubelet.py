# SPDX-License-Identifier: MIT
"""Build a real kubelet into the cache."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from wr_nvidia_k8s.common.main import run_main
from wr_nvidia_k8s.lab.kubelet.build import build, folder


def _copy(output: Path) -> None:
    output = output.absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as name:
        copy = Path(name) / output.name
        shutil.copy(folder() / "kubelet", copy)
        copy.replace(output)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/build-kubelet",
        description="Build a real kubelet (Debian's kubernetes 1.20.2) into the cache, with Debian's containerd "
        "beside it, for the tests and the quickstart. Does nothing if it is there already. Needs no root, "
        "and installs nothing but dpkg-dev if that is missing.",
        epilog=f"Cache: {folder()}. Downloads 165 MB and takes 7 minutes of processor time, with 2.5 GB of disk "
        "during the build and 200 MB afterwards. "
        "apt verifies Debian's signature and the checksum of each download.",
    )
    parser.add_argument("--output", metavar="FILE", type=Path, help="copy the kubelet to FILE as well")
    arguments = parser.parse_args()
    build()
    if arguments.output is not None:
        _copy(arguments.output)
    return 0


if __name__ == "__main__":
    run_main(main)
