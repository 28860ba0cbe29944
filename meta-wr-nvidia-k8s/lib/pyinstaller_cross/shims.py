# SPDX-License-Identifier: MIT
"""Stand-ins for the tools that PyInstaller and its hooks call by name, put in front of PATH."""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import sys

from . import elf
from .config import Config
from .errors import FreezeError
from .resolver import Resolver

PACKAGE_PARENT = pathlib.Path(__file__).parent.parent

SITECUSTOMIZE = """\
# Python runs this at the start of each child process of a freeze.
from pyinstaller_cross import reroot
reroot.from_environment(child=True)
"""


def _script(path: pathlib.Path, *command: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    path.chmod(0o755)


def make(config: Config, config_file: pathlib.Path) -> dict[str, str]:
    """Write the stand-ins to `config.work`/bin and return the environment for the process that runs PyInstaller."""
    bin_dir = config.work / "bin"
    site_dir = config.work / "site"
    bin_dir.mkdir(parents=True)
    site_dir.mkdir()
    # `python -m` put the working directory in front, which may be anything.
    own = [entry for entry in sys.path if entry not in ("", str(pathlib.Path.cwd()), str(PACKAGE_PARENT))]
    native_path = os.pathsep.join([str(PACKAGE_PARENT), *own])
    for name in ("ldd", "ldconfig"):
        # -S: several dozen of these are started, and `site` is half of what a start costs.
        start = [sys.executable, "-S", "-B", "-m", "pyinstaller_cross.tools", name, str(config_file)]
        _script(bin_dir / name, "env", f"PYTHONPATH={native_path}", *start)
    for name in ("strip", "objcopy", "objdump"):
        command, *arguments = config.tools.get(name) or [""]
        # By its full path: a plain `strip` would find its own stand-in first, and so on.
        program = shutil.which(command)
        if program is None:
            raise FreezeError(f"{config_file}: tools: expected a command for {name!r}, found {command!r}")
        _script(bin_dir / name, program, *arguments)
    (site_dir / "sitecustomize.py").write_text(SITECUSTOMIZE, encoding="utf-8")
    child = [*config.qemu, config.target_python] if config.child == "qemu" else [sys.executable]
    _script(bin_dir / "child-python", *child)

    # What could steer either interpreter from outside is left out. OE-core's python3targetconfig sets _PYTHON_*.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "_PYTHON", "LD_LIBRARY_PATH", "LD_PRELOAD"))
    }
    environment.update(
        PATH=os.pathsep.join([str(bin_dir), environment.get("PATH", "/usr/bin:/bin")]),
        PYTHONPATH=str(PACKAGE_PARENT),
        PYTHONDONTWRITEBYTECODE="1",
        PYTHONHASHSEED="1",
        PYTHONNODEBUGRANGES="1",  # column numbers of tracebacks, a fifth of the code objects (Python 3.11)
        PYTHONNOUSERSITE="1",
        PYINSTALLER_CONFIG_DIR=str(config.work / "cache"),
        PYINSTALLER_CROSS_CONFIG=str(config_file),
        PYINSTALLER_CROSS_CHILD_PYTHONPATH=os.pathsep.join([str(site_dir), str(PACKAGE_PARENT)]),
        PYINSTALLER_CROSS_NATIVE_PATH=native_path,
        SOURCE_DATE_EPOCH=str(config.source_date_epoch),
    )
    return environment


def resolver(config: Config) -> Resolver:
    """Return the resolver over the configuration's sysroot."""
    return Resolver(config.sysroot, config.library_dirs, elf.abi_of_machine(config.machine))
