# SPDX-License-Identifier: MIT
"""Freeze the device plugin for a Debian of any architecture: the front end of pyinstaller_cross for this machine."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.cache import say
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.freeze import parts
from wr_nvidia_k8s.freeze.parts import PYTHON, Arch

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
        "build_paths": [str(cache.root()), str(TOP)],
    }


def _scratch() -> Path:
    """Make the scratch folder of this process, and remove those of processes that are gone."""
    parent = cache.root() / "freeze" / "work"
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
