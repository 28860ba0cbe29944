# SPDX-License-Identifier: MIT
"""Each patch of ours applies to the recipe's commit as it is, and is still needed."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit import build
from toolkit.machine import VISIBLE, Machine, asks_by_mount

Jetson = Callable[..., Machine]
ROOTS, STRATEGY, LINKS = build.PATCHES


def test_they_apply_to_exactly_that_commit(tmp_path: Path) -> None:
    named = re.findall(r"file://(\S+\.patch)", build.RECIPE.read_text())
    assert named == [patch.name for patch in build.PATCHES]
    build.source(tmp_path, build.PATCHES)


def test_upstreams_own_tests_still_pass(programs: Path, tmp_path: Path) -> None:
    build.source(tmp_path, build.PATCHES)
    touched = {
        str(Path(name).parent)
        for patch in build.PATCHES
        for name in re.findall(r"(?m)^\+\+\+ b/(\S+\.go)$", patch.read_text())
    }
    done = build.run_go(tmp_path, "test", *(f"./{folder}" for folder in sorted(touched)))
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_the_first_the_runtime_knows_no_alternate_root(jetson: Jetson) -> None:
    machine = jetson(programs=build.programs([STRATEGY]))
    machine.write("usr/share/nvidia-container-passthrough/usr/lib/libv4l2.so.0")
    machine.write("etc/nvidia-container-runtime/host-files-for-container.d/drivers.csv", "lib, /usr/lib/libv4l2.so.0\n")
    assert "/usr/lib/libv4l2.so.0" not in machine.create({VISIBLE: "0"}).mounts


def test_without_the_third_the_hook_follows_a_containers_link_by_its_path(programs: Path, tmp_path: Path) -> None:
    """What it changes in upstream's tests fails without it: a link that leads to nothing was made to lead somewhere."""
    build.source(tmp_path, build.PATCHES)
    patch = ["patch", "--strip=1", "--reverse", "--batch", "--input", str(LINKS)]
    subprocess.run(patch, cwd=tmp_path, capture_output=True, check=True)
    name = "cmd/nvidia-cdi-hook/create-symlinks"
    changed = tmp_path / "changed"
    changed.mkdir()
    build.source(changed, build.PATCHES)
    shutil.copy(changed / name / "create-symlinks_test.go", tmp_path / name)
    done = build.run_go(tmp_path, "test", f"./{name}")
    assert done.returncode != 0
    assert "--- FAIL: TestCreateLinkOutOfBounds" in done.stdout


@pytest.fixture(scope="module")
def without_strategy(programs: Path) -> Path:
    return build.programs([ROOTS])


def test_without_the_second_a_container_serves_itself(jetson: Jetson, without_strategy: Path) -> None:
    assert jetson(programs=without_strategy, secure=True).create({VISIBLE: "all"}).devices


def test_without_the_second_the_device_plugins_mounts_are_ignored(jetson: Jetson, without_strategy: Path) -> None:
    assert not jetson(programs=without_strategy, secure=True).create({}, [asks_by_mount("0")]).changed
