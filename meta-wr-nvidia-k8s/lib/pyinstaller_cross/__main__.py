# SPDX-License-Identifier: MIT
"""python -m pyinstaller_cross CONFIG: freeze as the configuration file says. Exit status 1 tells a user error."""

from __future__ import annotations

import argparse
import pathlib
import sys

from . import config, errors, freeze


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="pyinstaller_cross",
        description="Freeze a Python program with PyInstaller for the machine that a sysroot belongs to.",
    )
    parser.add_argument("config", type=pathlib.Path, help="JSON file; its keys are the fields of config.Config")
    arguments = parser.parse_args()
    try:
        print(freeze.freeze(config.load(arguments.config), arguments.config.absolute()))
    except errors.FreezeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
