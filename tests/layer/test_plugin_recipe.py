# SPDX-License-Identifier: MIT
"""The plugin's recipe builds the program of this checkout: all of it, and nothing else decides over its hash."""

import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / "recipes-containers/nvidia-device-plugin"


@pytest.fixture
def recipe() -> Path:
    (path,) = FOLDER.glob("*.bb")
    return path


def test_it_names_every_file_of_the_program_and_none_that_is_not_in_git(recipe: Path) -> None:
    done = subprocess.run(["git", "ls-files", "plugin-src"], cwd=TOP, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"git and a checkout: {done.stderr.strip()}")
    (sources,) = re.findall(r'^SRC_URI = "(.*?)"$', recipe.read_text(), re.MULTILINE | re.DOTALL)
    named = [word.removeprefix("file://") for word in sources.split() if word != "\\"]
    assert len(named) == len(set(named))
    assert sorted(name for name in named if name.startswith("plugin-src/")) == sorted(done.stdout.split())
    others = [name for name in named if not name.startswith("plugin-src/")]
    assert sorted(others) == sorted(["LICENSE", *(path.name for path in (FOLDER / "files").iterdir())])
    assert (TOP / "LICENSE").is_file()


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
