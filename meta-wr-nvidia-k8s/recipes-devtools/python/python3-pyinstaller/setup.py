# SPDX-License-Identifier: MIT
"""How setuptools builds PyInstaller: everything in its package except bootloaders, which have a recipe of their own."""

import pathlib
import re

from setuptools import setup

PACKAGE = pathlib.Path("PyInstaller")
# Directories without Python modules are listed too: PyInstaller reads many of its files itself.
OTHERS = {"bootloader", "__pycache__"}
DIRECTORIES = [
    PACKAGE,
    *(path for path in PACKAGE.rglob("*") if path.is_dir() and not OTHERS.intersection(path.parts)),
]
VERSION = re.search(r"__version__ = '(.+)'", (PACKAGE / "__init__.py").read_text(encoding="utf-8"))

setup(
    name="pyinstaller",
    version=VERSION.group(1),
    packages=[".".join(path.parts) for path in DIRECTORIES],
    package_data={"": ["*"]},
    entry_points={
        "console_scripts": [
            "pyinstaller = PyInstaller.__main__:_console_script_run",
            "pyi-archive_viewer = PyInstaller.utils.cliutils.archive_viewer:run",
            "pyi-bindepend = PyInstaller.utils.cliutils.bindepend:run",
            "pyi-makespec = PyInstaller.utils.cliutils.makespec:run",
        ],
    },
)
