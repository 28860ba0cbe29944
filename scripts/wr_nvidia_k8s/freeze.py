# SPDX-License-Identifier: MIT
"""Freeze the device plugin for a Debian of any architecture: the front end of pyinstaller_cross for this machine."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

from wr_nvidia_k8s import debian_root
from wr_nvidia_k8s import freeze_parts as parts
from wr_nvidia_k8s.cache import root, say
from wr_nvidia_k8s.freeze_parts import ARCHES, PYTHON, TOP, Arch, FreezeError

MODULE = TOP / "meta-wr-nvidia-k8s" / "lib"
NAME = "nvidia-device-plugin"


def configuration(arch: Arch, output: Path, scratch: Path) -> dict[str, object]:
    """Make what is missing and return the configuration of pyinstaller_cross."""
    return {
        "settings": str(parts.PLUGIN / "freeze.json"),
        "name": NAME,
        "sysroot": str(parts.sysroot(arch)),
        "machine": arch.machine,
        "stdlib": f"/usr/lib/{PYTHON}",
        "site_packages": [f"/usr/lib/{PYTHON}/site-packages"],
        "library_dirs": [f"/usr/lib/{arch.triplet}", "/usr/lib"],
        "python_path": [str(parts.plugin())],
        "bootloader": str(parts.bootloader(arch)),
        "tools": {name: [f"{arch.triplet}-{name}"] for name in ("strip", "objcopy", "objdump")},
        "output": str(output.resolve()),
        "work": str(scratch / "work"),
        "build_paths": [str(root()), str(TOP)],
    }


def _scratch() -> Path:
    """Make the scratch folder of this process, and remove those of processes that are gone."""
    parent = root() / "freeze" / "work"
    parent.mkdir(parents=True, exist_ok=True)
    for path in parent.iterdir():
        if not Path("/proc", path.name).exists():
            shutil.rmtree(path, ignore_errors=True)
    scratch = parent / str(os.getpid())
    scratch.mkdir()
    return scratch


def freeze(arch: Arch, output: Path, *, refresh: bool = False) -> Path:
    """Freeze for `arch` and return the folder that was put in place. Raises FreezeError and DebianError."""
    parts.sysroot(arch, refresh=refresh)
    scratch = _scratch()
    config = configuration(arch, output, scratch)
    config_file = scratch / "config.json"
    config_file.write_text(json.dumps(config, indent=2), encoding="utf-8")
    say(f"freeze: freezing for {arch.debian}")
    command = [parts.python(), "-B", "-m", "pyinstaller_cross", config_file]
    result = parts.run(command, "freezing", env={**parts.pip_environment(), "PYTHONPATH": str(MODULE)})
    # After a failure it stays until the next freeze: the message names the log in there.
    shutil.rmtree(scratch)
    return Path(result.strip())


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/freeze",
        description="Freeze the device plugin with PyInstaller from Debian's Python.",
        epilog="The first run fetches packages (a few minutes at most); later ones reuse them from "
        "${XDG_CACHE_HOME:-~/.cache}/wr-nvidia-k8s/freeze. Exit status: 0 frozen and verified, 1 not, 2 wrong usage, "
        "69 a Debian package is missing and cannot be installed.",
    )
    parser.add_argument("--arch", choices=sorted(ARCHES), required=True, help="the machine the program is for")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help=f"folder that {NAME}/ is put in")
    parser.add_argument("--refresh", action="store_true", help="fetch Debian's packages anew, for security updates")
    parser.add_argument("--json", action="store_true", help="print what was made as JSON on stdout")
    parser.add_argument("--print-needed-packages", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arch = ARCHES[arguments.arch]
    try:
        if arguments.print_needed_packages:
            print(*parts.needed_packages(arch), sep="\n")
            return 0
        started = time.monotonic()
        result = freeze(arch, arguments.output, refresh=arguments.refresh)
    except (FreezeError, debian_root.DebianError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
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
    sys.exit(main())
