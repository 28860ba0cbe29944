# SPDX-License-Identifier: MIT
"""What the commands have in common, on a machine that has none of it yet."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wr_nvidia_k8s.build import build_user
from wr_nvidia_k8s.commands import boot_test
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.freeze import parts
from wr_nvidia_k8s.freeze.parts import ARCHES
from wr_nvidia_k8s.lab.room.room import Room, unavailable

LIBRARY = TOP / "scripts/lib.sh"
PACKAGES = TOP / "tests/debian-packages.txt"


def listed(mark: str = "") -> set[str]:
    """The packages of the list, or those with a mark."""
    lines = [line.split() for line in PACKAGES.read_text().splitlines() if not line.startswith("#")]
    return {name for name, *marks in lines if not mark or mark in marks}


@pytest.fixture
def machine() -> Iterator[Room]:
    """This machine's programs, with accounts and locales of its own and without those that BitBake wants."""
    if reason := unavailable():
        pytest.skip(reason)
    room = Room("wr-machine", files={"etc/": "", "work/": "", "locale/": ""}, own={}, hide=[],
                show={"/usr/lib/locale": "locale"})  # fmt: skip
    try:
        layers = f"lowerdir=/etc,upperdir={room.scratch}/etc,workdir={room.scratch}/work"
        room.run(["mount", "-t", "overlay", "-o", layers, "overlay", "/etc"])
        room.run(["userdel", build_user.NAME], check=False)
        yield room
    finally:
        room.close()


@pytest.mark.parametrize("function", ["ensure_tests", "ensure_bitbake"])
def test_the_locale_and_the_user_are_made_before_the_first_test(function: str, machine: Room) -> None:
    missing = {name for name in listed("bitbake" if function == "ensure_bitbake" else "")
               if subprocess.run(["dpkg", "--status", name], capture_output=True).returncode}  # fmt: skip
    if missing:
        pytest.skip(f"{', '.join(sorted(missing))}: apt-get install {' '.join(sorted(missing))}")
    assert "en_US" not in machine.run(["locale", "-a"])
    machine.run(["bash", "-euc", f'. "$0"; {function}', str(LIBRARY)])
    assert "en_US.utf8" in machine.run(["locale", "-a"]).splitlines()
    assert machine.run(["id", "--user", "--name", build_user.NAME]).strip() == build_user.NAME
    machine.run(["bash", "-euc", f'. "$0"; {function}', str(LIBRARY)])


def test_the_list_has_the_packages_that_the_commands_ask_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    wanted = {name for arch in ARCHES.values() for name in parts.needed_packages(arch)}
    wanted |= {name for arch in ARCHES for name in boot_test.needed_packages(arch, rpm=Path("plugin.rpm"))}
    # What build-essential and the compilers bring by themselves.
    brought = {"binutils", "binutils-aarch64-linux-gnu", "gcc", "libc6-dev"}
    assert wanted - listed() - brought == set()


def test_two_first_runs_make_one_virtual_environment(tmp_path: Path) -> None:
    top = tmp_path / "checkout"
    (top / "scripts").mkdir(parents=True)
    (top / "tests").mkdir()
    shutil.copy(LIBRARY, top / "scripts")
    (top / "tests/requirements.txt").touch()
    command = ["bash", "-euc", '. "$0"; ensure_venv; "$VENV/bin/pip" --version', str(top / "scripts/lib.sh")]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    runs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], said
    assert sum("making a virtual environment" in error for _, error in said) == 1, said


WITHOUT = sorted(path for path in (TOP / "scripts").iterdir() if path.is_file() and path.name not in ("lib.sh", "test"))


@pytest.mark.parametrize("script", WITHOUT, ids=lambda path: path.name)
def test_a_command_without_the_virtual_environment_needs_nothing_but_python(script: Path) -> None:
    text = script.read_text()
    (module,) = re.findall(r"exec .* -m (wr_nvidia_k8s\.commands\.\w+)", text)
    if "ensure_venv" in text:
        return
    bare = [sys.executable, "-S", "-m", module, "--help"]
    done = subprocess.run(bare, env={"PYTHONPATH": str(TOP / "scripts")}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
