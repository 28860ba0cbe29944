# SPDX-License-Identifier: MIT
"""The re-rooted process that runs PyInstaller: python -m pyinstaller_cross.analyse PYINSTALLER-ARGUMENT..."""

from __future__ import annotations

import importlib
import json
import os
import sys
import typing

from . import config as configuration
from . import reroot

BUNDLE = "bundle.json"


class TargetSys:
    """`sys` as modulegraph is to see it: with the modules that are compiled into the target's interpreter.

    The real sys.builtin_module_names also decides what this process itself can import.
    """

    def __init__(self, builtin_module_names: tuple[str, ...]) -> None:
        self.builtin_module_names = builtin_module_names

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(sys, name)


def _remember_analyses() -> list[typing.Any]:
    """Return a list that will hold PyInstaller's Analysis objects (the spec file's `a`)."""
    build_main = importlib.import_module("PyInstaller.building.build_main")
    analyses: list[typing.Any] = []
    assemble = build_main.Analysis.assemble

    def remembered(self: typing.Any) -> None:
        analyses.append(self)
        assemble(self)

    build_main.Analysis.assemble = remembered
    return analyses


def _write_bundle(config: configuration.Config, analyses: list[typing.Any]) -> None:
    """Record where everything comes from.

    `files` maps what is collected as a file to its source, `modules` lists what the executable is made of.
    """
    files = {
        name: source
        for analysis in analyses
        for name, source, kind in (*analysis.binaries, *analysis.datas)
        if kind != "SYMLINK"
    }
    modules = {source for analysis in analyses for _, source, _ in (*analysis.pure, *analysis.scripts)}
    modules.add(str(config.bootloader / "run"))
    data = {"files": dict(sorted(files.items())), "modules": sorted(modules - {"", "-"})}
    (config.work / BUNDLE).write_text(json.dumps(data, indent=1), encoding="utf-8")


def main() -> None:
    config = reroot.from_environment(child=False)
    # Only now, so that this process did not take itself for one of the children.
    os.environ["PYTHONPATH"] = os.environ["PYINSTALLER_CROSS_CHILD_PYTHONPATH"]

    # Not before: PyInstaller looks at the machine, prefixes and suffixes while it is imported.
    pyinstaller = importlib.import_module("PyInstaller.__main__")
    api = importlib.import_module("PyInstaller.building.api")

    def bootloader_file(self: typing.Any, exe: str, extension: str | None = None) -> str:
        return str(config.bootloader / (exe + ("_d" if self.debug else "") + (extension or "")))

    builtin = (config.work / reroot.BUILTIN_MODULES).read_text(encoding="utf-8").split()
    modulegraph: typing.Any = importlib.import_module("PyInstaller.lib.modulegraph.modulegraph")
    modulegraph.sys = TargetSys(tuple(builtin))

    # PyInstaller has no setting for it: it looks in its own package, below a name made of system, bits and machine.
    api.EXE._bootloader_file = bootloader_file
    analyses = _remember_analyses()
    pyinstaller.run(sys.argv[1:])
    _write_bundle(config, analyses)


if __name__ == "__main__":
    main()
