# SPDX-License-Identifier: MIT
"""The plugin's recipe builds the program of this checkout: all of it, and nothing else decides over its hash."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from layer.test_nvidia_stack import build_directory, parse
from wr_nvidia_k8s.freeze import parts

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / "recipes-containers/nvidia-device-plugin"


@pytest.fixture
def recipe() -> Path:
    (path,) = FOLDER.glob("*.bb")
    return path


def test_it_takes_every_file_of_the_program_and_nothing_that_lies_among_them(recipe: Path) -> None:
    """As BitBake parses it, in a checkout where a module has come and where others have left things."""
    build = build_directory("plugin-recipe", ["kas/qemu-x86-64.yml"])
    top = build.directory.parent / "checkout"
    shutil.rmtree(top, ignore_errors=True)
    question = {"recipe": recipe, "read": ["SRC_URI", "do_fetch[file-checksums]", "__depends"],
                "settings": {"WR_NVIDIA_K8S_TOPDIR": str(top)}}  # fmt: skip
    shutil.copytree(TOP / "plugin-src", top / "plugin-src", ignore=shutil.ignore_patterns("__pycache__", "*_pb2.py*"))
    shutil.copy(TOP / "LICENSE", top)
    package = top / "plugin-src/nvidia_device_plugin"
    (before,) = parse(build, question)
    tracked = {str(path.relative_to(TOP)) for path in (*parts.plugin_sources(), parts.PLUGIN / "freeze.json")}
    own = {"LICENSE", *(path.name for path in (FOLDER / "files").iterdir())}
    assert files(before) == tracked | own

    for name in ("__pycache__/cli.cpython-311.pyc", "__pycache__/left.py", "deviceplugin_v1beta1_pb2.py",
                 "deviceplugin_v1beta1_pb2.pyi", ".venv/lib/left.py", "notes.txt",
                 "../.venv/left.py", "../build/lib/left.py"):  # fmt: skip
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (littered,) = parse(build, question)
    for name in ("SRC_URI", "do_fetch[file-checksums]"):
        assert littered[name] == before[name]

    (package / "health").mkdir()
    (package / "health/monitor.py").touch()
    (grown,) = parse(build, question)
    new = "plugin-src/nvidia_device_plugin/health/monitor.py"
    assert files(grown) == files(before) | {new}
    assert f"{top / new}:True" in grown["do_fetch[file-checksums]"], "expected its content to change the task's hash"
    # What makes BitBake parse the recipe again: a file or folder that is no longer as old as it was.
    depends: Any = grown["__depends"]
    watched = {path for path, _ in depends}
    assert {str(package), str(package / "health"), str(top / "plugin-src/proto")} <= watched


def files(answer: dict[str, Any]) -> set[str]:
    """The local files of SRC_URI."""
    words = answer["SRC_URI"].split()
    assert len(words) == len(set(words))
    return {word.removeprefix("file://") for word in words}


def test_what_it_takes_is_what_is_in_git() -> None:
    done = subprocess.run(["git", "ls-files", "plugin-src"], cwd=TOP, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"git and a checkout: {done.stderr.strip()}")
    taken = {str(path.relative_to(TOP)) for path in (*parts.plugin_sources(), parts.PLUGIN / "freeze.json")}
    assert taken == set(done.stdout.split())


def test_its_version_is_the_programs(recipe: Path) -> None:
    program = (TOP / "plugin-src/nvidia_device_plugin/__init__.py").read_text()
    assert recipe.stem.partition("_")[2] == re.findall(r'^__version__ = "(.*)"$', program, re.MULTILINE)[0]


def test_debians_freeze_and_the_recipes_use_the_same_pyinstaller() -> None:
    recipes = {path.stem.partition("_")[0]: path.stem.partition("_")[2]
               for path in (TOP / "meta-wr-nvidia-k8s/recipes-devtools/python").glob("*.bb")}  # fmt: skip
    folder = TOP / "scripts/wr_nvidia_k8s/freeze"
    pins = (folder / "tools.txt").read_text() + (folder / "constraints.txt").read_text()
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", pins, re.MULTILINE))
    for name, version in recipes.items():
        assert version == pinned[name.removeprefix("python3-").replace("-bootloader", "")], name
