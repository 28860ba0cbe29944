# SPDX-License-Identifier: MIT
"""Freeze the device plugin for a Debian of any architecture: the front end of pyinstaller_cross for this machine.

The recipe takes the sysroot, the interpreter and the bootloader from BitBake; here Debian's packages and PyPI's
wheels stand in for them. Everything is made below the cache: no package is installed for Python anywhere else.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wr_nvidia_k8s import debian_root
from wr_nvidia_k8s.cache import Cached, root, say

TOP = Path(__file__).resolve().parents[2]
PLUGIN = TOP / "plugin-src"
MODULE = TOP / "meta-wr-nvidia-k8s" / "lib"
HERE = Path(__file__).resolve().parent
CONSTRAINTS = HERE / "freeze-constraints.txt"
TOOLS = HERE / "freeze-tools.txt"
NAME = "nvidia-device-plugin"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Arch:
    """How Debian, GNU and PyPI call one architecture."""

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
        """The Debian packages that compile for it on this machine."""
        cross = f"-{self.machine.replace('_', '-')}-linux-gnu"
        return ["gcc", "libc6-dev"] if self.native else [f"gcc{cross}"]


ARCHES = {arch.debian: arch for arch in (Arch("amd64", "x86_64"), Arch("arm64", "aarch64"))}


class FreezeError(Exception):
    """What went wrong and where to look."""


def run(command: Sequence[str | Path], what: str, **options: object) -> str:
    """Run a command quietly; its output appears in the error only."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise FreezeError(f"{what} failed ({command[0]} ended with {done.returncode}):\n{done.stderr or done.stdout}")
    return str(done.stdout)


def pip_environment() -> dict[str, str]:
    """The user's settings of where packages come from, none of where they go to."""
    unwanted = ("PYTHON", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PIP_CONSTRAINT", "PIP_REQUIRE")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


def tools() -> Cached:
    return Cached("freeze/tools", PYTHON, TOOLS)


def make_tools(folder: Path) -> None:
    say("freeze: installing PyInstaller into a virtual environment of its own")
    run([sys.executable, "-m", "venv", folder], "making a virtual environment")
    pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--requirement", TOOLS], "installing PyInstaller", env=pip_environment())


def bootloader(arch: Arch) -> Cached:
    return Cached("freeze/bootloader", arch.debian, TOOLS)


def make_bootloader(folder: Path, arch: Arch, python: Path) -> None:
    """Compile PyInstaller's bootloader from its source package: PyPI's is built against a shared zlib."""
    say(f"freeze: compiling PyInstaller's bootloader for {arch.debian}")
    (requirement,) = [line for line in TOOLS.read_text(encoding="utf-8").splitlines() if line.startswith("pyinstaller==")]
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        download = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary=pyinstaller"]
        run([python, "-m", "pip", *download, "--dest", scratch, requirement], "downloading", env=pip_environment())
        (archive,) = Path(scratch).glob("*.tar.gz")
        run(["tar", "-xf", archive, "-C", scratch], "unpacking PyInstaller's source")
        source = Path(scratch) / archive.name.removesuffix(".tar.gz")
        environment = {
            **pip_environment(),
            "CC": f"{arch.triplet}-gcc",
            # The result must not depend on where it was compiled.
            "CFLAGS": f"-O2 -ffile-prefix-map={source}=.",
            "PYI_STATIC_ZLIB": "1",
            "STRIP": "true",
        }
        # Never --target-arch: it forces -m64, which only x86 compilers know.
        run([python, "./waf", "configure", "all"], "compiling the bootloader", cwd=source / "bootloader", env=environment)
        (compiled,) = (source / "PyInstaller" / "bootloader").glob("Linux-*")
        for name in ("run", "run_d"):
            shutil.copy(compiled / name, folder)


def sysroot(arch: Arch) -> Cached:
    return Cached("freeze/sysroot", arch.debian, PYTHON, CONSTRAINTS, PLUGIN / "setup.cfg", debian_root.codename())


def requirements() -> list[str]:
    """What the plugin's own package asks for."""
    import configparser

    metadata = configparser.ConfigParser()
    metadata.read(PLUGIN / "setup.cfg", encoding="utf-8")
    return metadata["options"]["install_requires"].split()


def make_sysroot(folder: Path, arch: Arch, python: Path) -> None:
    """Fill `folder` with Debian's Python library and the plugin's dependencies as wheels for `arch`."""
    say(f"freeze: fetching Debian's {PYTHON} and its libraries for {arch.debian}")
    packages = [f"lib{PYTHON}", f"lib{PYTHON}-stdlib", f"{PYTHON}-minimal", "libstdc++6"]
    scratch = folder.parent / f".apt-{folder.name}"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        names = debian_root.unpack(folder, arch.debian, packages, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    (folder / "packages").write_text("\n".join(names) + "\n", encoding="utf-8")
    say(f"freeze: fetching the plugin's dependencies for {arch.debian}")
    site_packages = folder / "usr/lib" / PYTHON / "site-packages"
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory(dir=folder.parent) as wheels:
        # Where PyPI has no wheel at all, pip refuses to build one while --platform is given.
        build = ["wheel", "--no-deps", "--wheel-dir", wheels, "--constraint", CONSTRAINTS, "sdnotify"]
        run([*pip, *build], "building wheels", env=pip_environment())
        install = ["install", "--target", site_packages, "--only-binary=:all:", "--find-links", wheels, "--no-compile"]
        platform = [f"--platform={name}" for name in arch.wheels]
        version = f"--python-version={sys.version_info.major}.{sys.version_info.minor}"
        run(
            [*pip, *install, *platform, version, "--constraint", CONSTRAINTS, *requirements()],
            "installing the plugin's dependencies",
            env=pip_environment(),
        )


def plugin_sources() -> list[Path]:
    """The files the plugin's wheel is built from; nothing generated."""
    ignored = re.compile(r"(^|/)(__pycache__|build|dist|\.venv|[^/]*\.egg-info)(/|$)|_pb2\.pyi?$")
    files = (path for path in sorted(PLUGIN.rglob("*")) if path.is_file())
    return [path for path in files if not ignored.search(str(path.relative_to(PLUGIN)))]


def plugin() -> Cached:
    names = "\n".join(str(path.relative_to(PLUGIN)) for path in plugin_sources())
    return Cached("freeze/plugin", PYTHON, CONSTRAINTS, names, *plugin_sources())


def make_plugin(folder: Path, python: Path) -> None:
    """Build the plugin's wheel with the protoc of the protobuf it will run on, and unpack it."""
    say("freeze: building the plugin")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        source = Path(scratch) / "source"
        for path in plugin_sources():
            copy = source / path.relative_to(PLUGIN)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        # The environment, not --constraint, reaches the isolated build.
        environment = {**pip_environment(), "PIP_CONSTRAINT": str(CONSTRAINTS)}
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
        run([*pip, "--target", folder, source], "building the plugin", env=environment)


def freeze(arch: Arch, output: Path) -> Path:
    """Freeze for `arch` and return the folder that was put in place."""
    python = tools().get(make_tools) / "bin" / "python"
    config = {
        "settings": str(PLUGIN / "freeze.json"),
        "name": NAME,
        "sysroot": str(sysroot(arch).get(lambda folder: make_sysroot(folder, arch, python))),
        "machine": arch.machine,
        "stdlib": f"/usr/lib/{PYTHON}",
        "site_packages": [f"/usr/lib/{PYTHON}/site-packages"],
        "library_dirs": [f"/usr/lib/{arch.triplet}", "/usr/lib"],
        "python_path": [str(plugin().get(lambda folder: make_plugin(folder, python)))],
        "bootloader": str(bootloader(arch).get(lambda folder: make_bootloader(folder, arch, python))),
        "tools": {name: [f"{arch.triplet}-{name}"] for name in ("strip", "objcopy", "objdump")},
        "output": str(output.resolve()),
        "build_paths": [str(root())],
    }
    say(f"freeze: freezing for {arch.debian}")
    work = root() / "freeze" / "work"
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        config_file = Path(scratch) / "config.json"
        config["work"] = f"{scratch}/work"
        config_file.write_text(json.dumps(config, indent=2), encoding="utf-8")
        command = [python, "-B", "-m", "pyinstaller_cross", config_file]
        environment = {**pip_environment(), "PYTHONPATH": str(MODULE)}
        return Path(run(command, "freezing", env=environment).strip())


def needed_packages(arch: Arch) -> list[str]:
    """The Debian packages that this run will need on this machine; none that only a full cache would spare."""
    needed = [] if tools().exists else ["python3-venv"]
    binutils = "binutils" if arch.native else f"binutils-{arch.machine.replace('_', '-')}-linux-gnu"
    return [*needed, binutils, *([] if bootloader(arch).exists else arch.toolchain)]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/freeze",
        description="Freeze the device plugin with PyInstaller from Debian's Python.",
        epilog="The first run fetches packages (a few minutes at most); later ones reuse them from "
        "${XDG_CACHE_HOME:-~/.cache}/wr-nvidia-k8s/freeze. Exit status: 0 frozen and verified, 1 not, 2 wrong usage, "
        "69 a Debian package is missing and cannot be installed.",
    )
    parser.add_argument("--arch", choices=sorted(ARCHES), required=True, help="the machine the program is for")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help=f"folder that {NAME}/ is put in")
    parser.add_argument("--refresh", action="store_true", help="fetch Debian's packages anew, for security updates")
    parser.add_argument("--json", action="store_true", help="print what was made as JSON on stdout")
    parser.add_argument("--print-needed-packages", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arch = ARCHES[arguments.arch]
    try:
        if arguments.print_needed_packages:
            print(*needed_packages(arch), sep="\n")
            return 0
        started = time.monotonic()
        if arguments.refresh:
            sysroot(arch).remove()
        result = freeze(arch, arguments.output)
    except (FreezeError, debian_root.DebianError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    files = [path for path in result.rglob("*") if path.is_file() and not path.is_symlink()]
    summary = {
        "program": str(result / NAME),
        "arch": arch.debian,
        "seconds": round(time.monotonic() - started, 1),
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
    }
    if arguments.json:
        print(json.dumps(summary, indent=2))
    else:
        say("freeze: {program} for {arch}: {files} files, {bytes} bytes, in {seconds} s".format(**summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
