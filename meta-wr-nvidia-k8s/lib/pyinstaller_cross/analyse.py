# SPDX-License-Identifier: MIT
"""The re-rooted process that runs PyInstaller: python -m pyinstaller_cross.analyse PYINSTALLER-ARGUMENT..."""

from __future__ import annotations

import importlib
import os
import sys
import typing

from . import reroot


def main() -> None:
    config = reroot.from_environment(child=False)
    # Only now, so that this process did not take itself for one of the children.
    os.environ["PYTHONPATH"] = os.environ["PYINSTALLER_CROSS_CHILD_PYTHONPATH"]

    # Not before: PyInstaller looks at the machine, prefixes and suffixes while it is imported.
    pyinstaller = importlib.import_module("PyInstaller.__main__")
    api = importlib.import_module("PyInstaller.building.api")

    def bootloader_file(self: typing.Any, exe: str, extension: str | None = None) -> str:
        return str(config.bootloader / (exe + ("_d" if self.debug else "") + (extension or "")))

    # PyInstaller has no setting for it: it looks in its own package, below a name made of system, bits and machine.
    api.EXE._bootloader_file = bootloader_file
    pyinstaller.run(sys.argv[1:])


if __name__ == "__main__":
    main()
