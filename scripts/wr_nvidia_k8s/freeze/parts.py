# SPDX-License-Identifier: MIT
"""The parts that a freeze for Debian needs, each in its own cached folder.

The recipe takes the interpreter, the bootloader and the sysroot from BitBake; here PyPI and Debian's packages stand
in for them. Python packages are installed only in the cache.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wr_nvidia_k8s.common import process
from wr_nvidia_k8s.common.cache import Cached, say
from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.debian import apt, root

PLUGIN = TOP / "plugin-src"
HERE = Path(__file__).resolve().parent
CONSTRAINTS = HERE / "constraints.txt"
TOOLS = HERE / "tools.txt"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Arch:
    """The names that Debian, GNU and PyPI give one architecture."""

    debian: str
    machine: str

    @property
    def triplet(self) -> str:
        return f"{self.machine}-linux-gnu"

    @property
    def native(self) -> bool:
        return os.uname().machine == self.machine

    @property
    def wheels(self) -> list[str]:
        return [f"manylinux_2_17_{self.machine}", f"manylinux2014_{self.machine}"]

    @property
    def toolchain(self) -> list[str]:
        """The Debian packages with its compiler for this machine."""
        if self.native:
            return ["gcc", "libc6-dev"]
        # The C library's headers are only recommended by the compiler.
        return [f"gcc-{self.machine.replace('_', '-')}-linux-gnu", f"libc6-dev-{self.debian}-cross"]


ARCHES = {arch.debian: arch for arch in (Arch("amd64", "x86_64"), Arch("arm64", "aarch64"))}


class FreezeError(UserError):
    """What went wrong and where to look."""


def run(command: Sequence[object], what: str, **options: Any) -> None:
    """Run a command quietly; its output appears in the error only, a FreezeError."""
    process.run(command, error=FreezeError, what=what, **options)


def pip_environment() -> dict[str, str]:
    """The user's pip settings for where packages come from, but none for where they are installed."""
    unwanted = ("PYTHON", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PIP_CONSTRAINT", "PIP_REQUIRE")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


def _tools() -> Cached:
    return Cached("freeze/tools", PYTHON, TOOLS)


def python() -> Path:
    """The interpreter that has PyInstaller."""
    return _tools().get(_make_tools) / "bin" / "python"


def _make_tools(folder: Path) -> None:
    say("freeze: installing PyInstaller into a virtual environment of its own")
    run([sys.executable, "-m", "venv", folder], "making a virtual environment")
    pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--requirement", TOOLS], "installing PyInstaller", env=pip_environment())


def _bootloader(arch: Arch) -> Cached:
    return Cached("freeze/bootloader", arch.debian, TOOLS)


def bootloader(arch: Arch) -> Path:
    """PyInstaller's bootloader, compiled from its source package: PyPI's is built against a shared zlib."""
    return _bootloader(arch).get(lambda folder: _make_bootloader(folder, arch))


def _make_bootloader(folder: Path, arch: Arch) -> None:
    say(f"freeze: compiling PyInstaller's bootloader for {arch.debian}")
    pins = TOOLS.read_text(encoding="utf-8").splitlines()
    (requirement,) = [line for line in pins if line.startswith("pyinstaller==")]
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        download = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary=pyinstaller"]
        # To learn the metadata, pip has the package compile its bootloader, which else wants zlib's headers.
        environment = {**pip_environment(), "PYI_STATIC_ZLIB": "1"}
        run([python(), "-m", "pip", *download, "--dest", scratch, requirement], "downloading", env=environment)
        (archive,) = Path(scratch).glob("*.tar.gz")
        run(["tar", "-xf", archive, "-C", scratch], "unpacking PyInstaller's source")
        source = Path(scratch) / archive.name.removesuffix(".tar.gz")
        environment |= {
            "CC": f"{arch.triplet}-gcc",
            # The result must not depend on where it was compiled.
            "CFLAGS": f"-O2 -ffile-prefix-map={source}=.",
            "STRIP": "true",
        }
        # Never --target-arch: it forces -m64, which only x86 compilers know.
        waf = [python(), "./waf", "configure", "all"]
        run(waf, "compiling the bootloader", cwd=source / "bootloader", env=environment)
        (compiled,) = (source / "PyInstaller" / "bootloader").glob("Linux-*")
        for name in ("run", "run_d"):
            shutil.copy(compiled / name, folder)


def sysroot(arch: Arch, *, refresh: bool = False) -> Path:
    """A directory tree of Debian's Python library and the plugin's dependencies as wheels, both for `arch`."""
    inputs: list[str | Path] = [arch.debian, PYTHON, apt.codename(), *_requirements(), CONSTRAINTS]
    return Cached("freeze/sysroot", *inputs).get(lambda folder: _make_sysroot(folder, arch), refresh=refresh)


def _requirements() -> list[str]:
    """The requirements of the plugin's own package."""
    metadata = configparser.ConfigParser()
    metadata.read(PLUGIN / "setup.cfg", encoding="utf-8")
    return metadata["options"]["install_requires"].split()


def _make_sysroot(folder: Path, arch: Arch) -> None:
    say(f"freeze: fetching Debian's {PYTHON} and its libraries for {arch.debian}")
    packages = [f"lib{PYTHON}", f"lib{PYTHON}-stdlib", f"{PYTHON}-minimal", "libstdc++6"]
    scratch = folder.parent / f".apt-{folder.name}"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        names = root.unpack(folder, arch.debian, packages, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    (folder / "packages").write_text("\n".join(names) + "\n", encoding="utf-8")
    say(f"freeze: fetching the plugin's dependencies for {arch.debian}")
    site_packages = folder / "usr/lib" / PYTHON / "site-packages"
    pip = [python(), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory(dir=folder.parent) as wheels:
        # Where PyPI has no wheel at all, pip refuses to build one while --platform is given.
        build = ["wheel", "--no-deps", "--wheel-dir", wheels, "--constraint", CONSTRAINTS, "sdnotify"]
        run([*pip, *build], "building wheels", env=pip_environment())
        install = ["install", "--target", site_packages, "--only-binary=:all:", "--find-links", wheels, "--no-compile"]
        platform = [f"--platform={name}" for name in arch.wheels]
        version = f"--python-version={sys.version_info.major}.{sys.version_info.minor}"
        run(
            [*pip, *install, *platform, version, "--constraint", CONSTRAINTS, *_requirements()],
            "installing the plugin's dependencies",
            env=pip_environment(),
        )


def plugin_sources() -> list[Path]:
    """The files of plugin-src that the wheel is built from: nothing generated, and not how to freeze it."""
    ignored = re.compile(r"(^|/)(__pycache__|build|dist|\.venv|[^/]*\.egg-info)(/|$)|_pb2\.pyi?$|^freeze\.json$")
    files = (path for path in sorted(PLUGIN.rglob("*")) if path.is_file())
    return [path for path in files if not ignored.search(str(path.relative_to(PLUGIN)))]


def copy_plugin_sources(folder: Path) -> None:
    """Copy `plugin_sources` into the new ``folder``: setuptools writes beside what it builds from."""
    for path in plugin_sources():
        copy = folder / path.relative_to(PLUGIN)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def plugin() -> Path:
    """The plugin as its wheel installs it, built with the protoc of the protobuf it will run on."""
    names = "\n".join(str(path.relative_to(PLUGIN)) for path in plugin_sources())
    return Cached("freeze/plugin", PYTHON, CONSTRAINTS, names, *plugin_sources()).get(_make_plugin)


def _make_plugin(folder: Path) -> None:
    say("freeze: building the plugin")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        source = Path(scratch) / "source"
        copy_plugin_sources(source)
        # The environment, not --constraint, reaches the isolated build. A path with a space would be taken for two.
        environment = {**pip_environment(), "PIP_CONSTRAINT": CONSTRAINTS.as_uri()}
        pip = [python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
        run([*pip, "--target", folder, source], "building the plugin", env=environment)


def needed_packages(arch: Arch) -> list[str]:
    """The Debian packages that this run needs on this machine, without those for parts that are cached already."""
    needed = [] if _tools().exists else ["python3-venv"]
    binutils = "binutils" if arch.native else f"binutils-{arch.machine.replace('_', '-')}-linux-gnu"
    return [*needed, binutils, *([] if _bootloader(arch).exists else arch.toolchain)]
