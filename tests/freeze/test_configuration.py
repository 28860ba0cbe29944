# SPDX-License-Identifier: MIT
"""A configuration file that cannot be right is refused with its name, the key, and what was expected there."""

import json
from pathlib import Path
from typing import Any

import pytest

from pyinstaller_cross import config
from pyinstaller_cross.errors import FreezeError

COMPLETE: dict[str, Any] = {
    "name": "program", "script": "/src/program.py", "sysroot": "/sysroot", "machine": "aarch64",
    "stdlib": "/usr/lib/python3.11", "library_dirs": ["/usr/lib"], "bootloader": "/boot", "output": "/out",
    "work": "/work-folder",
}  # fmt: skip


def load(tmp_path: Path, **changes: Any) -> config.Config:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**COMPLETE, **changes}))
    return config.load(file)


@pytest.mark.parametrize(("changes", "message"), [
    ({"sysroot": ""}, "sysroot: expected an absolute path"),
    ({"name": ""}, "expected a value for name"),
    ({"machine": 3}, "machine: expected str, found 3"),
    ({"excludes": "tkinter"}, "excludes: expected list, found 'tkinter'"),
    ({"excludes": [1]}, "excludes: expected a list of strings"),
    ({"exclude": []}, "unknown key 'exclude'"),
    ({"mode": "dir"}, "mode: expected onedir or onefile, found 'dir'"),
    ({"child": "wine"}, "child: expected native or qemu, found 'wine'"),
    ({"child": "qemu"}, "'qemu' needs the keys qemu"),
    ({"source_date_epoch": True}, "source_date_epoch: expected int"),
])  # fmt: skip
def test_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FreezeError) as error:
        load(tmp_path, **changes)
    assert message in str(error.value)
    assert "config.json" in str(error.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FreezeError, match=r"missing.json: cannot be read: No such file"):
        config.load(tmp_path / "missing.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(FreezeError, match=r"broken.json: expected JSON"):
        config.load(tmp_path / "broken.json")


def test_the_programs_own_settings_and_the_configurations_add_up(tmp_path: Path) -> None:
    settings = tmp_path / "freeze.json"
    settings.write_text(json.dumps({"script": "package.cli:main", "excludes": ["tkinter"]}))
    merged = load(tmp_path, settings=str(settings), script="", excludes=["curses"])
    assert merged.script == "package.cli:main"
    assert merged.excludes == ["tkinter", "curses"]
    settings.write_text(json.dumps({"output": "/elsewhere"}))
    with pytest.raises(FreezeError, match=r"freeze.json: unknown key 'output'"):
        load(tmp_path, settings=str(settings))
