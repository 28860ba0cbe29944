# SPDX-License-Identifier: MIT
"""The tools that PyInstaller and its hooks call by name answer for the target."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pyinstaller_cross import shims
from pyinstaller_cross.config import Config, load
from pyinstaller_cross.errors import FreezeError

MakeLibrary = Callable[..., Path]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "config.json"
    root = tmp_path / "root"
    file.write_text(
        f"""{{"name": "program", "script": "program.py", "sysroot": "{root}", "machine": "aarch64",
        "stdlib": "/usr/lib/python3", "library_dirs": ["/usr/lib"], "bootloader": "{root}", "output": "{root}",
        "work": "{tmp_path}/work"}}"""
    )
    return replace(load(file), tools={name: ["true"] for name in ("strip", "objcopy", "objdump")})


def run(config: Config, *command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = shims.make(config, config.work.with_name("config.json"))
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_ldd(config: Config, library: MakeLibrary) -> None:
    z = library("libz.so.1", folder=config.sysroot / "usr/lib")
    gone = library("libgone.so.2")
    program = library("program.so", needs=[z, gone])
    done = run(config, "ldd", program)
    assert done.stdout.splitlines() == [f"\tlibz.so.1 => {z} (0x0)", "\tlibgone.so.2 => not found"]
    assert (done.returncode, done.stderr) == (0, "")


def test_ldd_of_a_file_that_the_target_could_not_load(config: Config, library: MakeLibrary) -> None:
    done = run(config, "ldd", library("native.so", arch="amd64"))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "\tnot a dynamic executable\n")


def test_ldconfig_lists_and_changes_nothing(config: Config, library: MakeLibrary) -> None:
    z = library("libz.so.1", folder=config.sysroot / "usr/lib")
    assert run(config, "ldconfig", "-p").stdout.splitlines()[1:] == [f"\tlibz.so.1 (libc6) => {z}"]
    shutil.rmtree(config.work)
    done = run(config, "ldconfig", "/usr/lib")
    assert done.returncode == 1
    assert "expected -p" in done.stderr


def test_a_tool_may_have_the_name_of_its_stand_in(
        config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tmp_path / "tools/strip"
    real.parent.mkdir()
    real.write_text('#!/bin/sh\necho real strip "$@"\n')
    real.chmod(0o755)
    monkeypatch.setenv("PATH", str(real.parent), prepend=":")
    done = run(replace(config, tools={**config.tools, "strip": ["strip", "-g"]}), "strip", "file")
    assert done.stdout == "real strip -g file\n"


def test_a_tool_that_is_not_there(config: Config) -> None:
    with pytest.raises(FreezeError, match=r"tools: expected a command for 'strip', found 'no-such-strip'"):
        run(replace(config, tools={**config.tools, "strip": ["no-such-strip"]}), "strip")
