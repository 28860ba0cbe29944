# SPDX-License-Identifier: MIT
"""The sources for BitBake in the task tests, fetched before it starts because it runs without a network.

The recipes name both kinds, and the cache is keyed by these names:

- source packages from PyPI, for the recipes that build one: BitBake finds them in DL_DIR and checks each
  against the recipe's own checksum;
- packages from Debian, from which tests/bitbake/stub-layer is made.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from wr_nvidia_k8s.common.cache import Cached, say
from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.common.process import run
from wr_nvidia_k8s.debian import apt, root
from wr_nvidia_k8s.freeze.parts import pip_environment

STUB_LAYER = TOP / "tests" / "bitbake" / "stub-layer"
OWN_RECIPES = (TOP / "meta-wr-nvidia-k8s", TOP / "recipes-containers")
RELEASE = "bookworm"
"""The Debian release whose packages the stand-ins name."""

# The backends that the source packages name: pip asks each for the package's metadata, wanted or not, and
# would otherwise install them anew for every package.
_BACKENDS = ("flit_core", "hatchling", "setuptools<82", "wheel")


class SourceError(UserError):
    """Something cannot be fetched; the text says what, and what was tried."""


def debs(arch: str) -> Path:
    """A folder with the .deb files that the stand-ins for ``arch`` (Debian's name) unpack."""
    if apt.codename() != RELEASE:
        raise SourceError(f"expected Debian's {RELEASE}, found {apt.codename()}: use a container with it")
    values = [_variable(path, "DEBIAN_PACKAGES") or "" for path in STUB_LAYER.rglob("*.bb")]
    packages = sorted({package for value in values for package in value.split()})

    def make(folder: Path) -> None:
        say(f"fetching {len(packages)} Debian packages for {arch}, and what they need")
        for deb in root.download(arch, packages, folder / "apt"):
            deb.rename(folder / deb.name)
        shutil.rmtree(folder / "apt")

    return Cached("tasks/debs", RELEASE, arch, *packages).get(make)


def sdists(recipes: Iterable[Path]) -> Path:
    """A folder with the source packages of those among ``recipes`` that come from PyPI."""
    requirements = _requirements(path for path in recipes if _inherits(path, "pypi"))

    def make(folder: Path) -> None:
        say(f"fetching {len(requirements)} source packages from PyPI")
        python = _tools() / "bin" / "python"
        download = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        options = ["--no-deps", "--no-binary=:all:", "--no-build-isolation", f"--dest={folder}"]
        # To learn PyInstaller's metadata, pip has it compile its bootloader, which else wants zlib's headers.
        _run(["env", "PYI_STATIC_ZLIB=1", str(python), *download, *options, *requirements])

    return Cached("tasks/sdists", *requirements).get(make)


def _requirements(recipes: Iterable[Path]) -> list[str]:
    """NAME==VERSION for each recipe, from its file name and its PYPI_PACKAGE, as pypi.bbclass does it."""
    found = set()
    for path in recipes:
        name, _, version = path.stem.partition("_")
        found.add(f"{_variable(path, 'PYPI_PACKAGE') or name.removeprefix('python3-')}=={version}")
    return sorted(found)


def _text(recipe: Path) -> str:
    """The recipe with the files beside it that it requires."""
    text = recipe.read_text()
    return text + "".join(_text(recipe.parent / name) for name in re.findall(r"(?m)^require ([\w.-]+\.inc)$", text))


def _inherits(recipe: Path, bbclass: str) -> bool:
    return re.search(rf"(?m)^inherit\b.*\s{bbclass}\b(?!-)", _text(recipe)) is not None


def _variable(recipe: Path, name: str) -> str | None:
    match = re.search(rf'(?m)^{name} = "((?:[^"\\]|\\\n)*)"', _text(recipe))
    return match[1].replace("\\\n", " ") if match else None


def _tools() -> Path:
    def make(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([str(folder / "bin" / "python"), *install, *_BACKENDS])

    return Cached("tasks/tools", sys.version, *_BACKENDS).get(make)


def _run(command: list[str]) -> None:
    run(command, error=SourceError, env=pip_environment())
