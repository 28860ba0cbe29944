# SPDX-License-Identifier: MIT
"""Freeze the device plugin for Debian on any architecture."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from wr_nvidia_k8s.common.cache import say
from wr_nvidia_k8s.common.main import run_main
from wr_nvidia_k8s.freeze import parts
from wr_nvidia_k8s.freeze.freezer import NAME, check_output, freeze
from wr_nvidia_k8s.freeze.parts import ARCHES


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/freeze",
        description="Freeze the device plugin with PyInstaller from Debian's Python.",
        epilog="The first run fetches packages (a few minutes at most); later ones reuse them from "
        "${XDG_CACHE_HOME:-~/.cache}/wr-nvidia-k8s/freeze. Exit status: 0 frozen and verified, 1 not, 2 wrong usage, "
        "69 a Debian package cannot be had, 73 the output folder cannot be used, 130 interrupted.",
    )
    parser.add_argument("--arch", choices=sorted(ARCHES), required=True, help="the architecture to freeze for")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help=f"folder to create {NAME}/ in")
    parser.add_argument("--refresh", action="store_true", help="fetch Debian's packages anew, for security updates")
    parser.add_argument("--json", action="store_true", help="print what was made as JSON on stdout")
    parser.add_argument("--print-needed-packages", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arch = ARCHES[arguments.arch]
    if arguments.print_needed_packages:
        check_output(arguments.output)  # before anything is installed
        print(*parts.needed_packages(arch), sep="\n")
        return 0
    started = time.monotonic()
    result = freeze(arch, arguments.output, refresh=arguments.refresh)
    files = [path for path in result.rglob("*") if path.is_file() and not path.is_symlink()]
    summary = {
        "program": str(result / NAME),
        "arch": arch.debian,
        "seconds": round(time.monotonic() - started, 1),
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
    }
    if arguments.json:
        print(json.dumps(summary, indent=2))
    else:
        say("freeze: {program} for {arch}: {files} files, {bytes} bytes, in {seconds} s".format(**summary))
    return 0


if __name__ == "__main__":
    run_main(main)
