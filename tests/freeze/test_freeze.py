# SPDX-License-Identifier: MIT
"""Small programs, frozen for arm64 on this machine: what comes out, and what is refused."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pyinstaller_cross
from pyinstaller_cross import elf
from wr_nvidia_k8s.common.cache import Cached
from wr_nvidia_k8s.debian import apt, root
from wr_nvidia_k8s.freeze.parts import PYTHON

Freezer = Callable[..., Any]
MakeLibrary = Callable[..., Path]
SUFFIX = f".cpython-{PYTHON.removeprefix('python').replace('.', '')}-aarch64-linux-gnu.so"
SETTINGS = "import json, platform, sys, sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))"


def tree(root: Path) -> dict[str, bytes]:
    """Everything below a folder that could differ, save time stamps."""
    return {
        str(path.relative_to(root)): str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_every_file_is_the_targets_and_so_is_what_the_program_knows_of_itself(freezer: Freezer) -> None:
    frozen = freezer("arm64", SETTINGS)
    assert frozen.status == 0, frozen.error
    machines = {file.abi.machine for path in frozen.result.rglob("*") if (file := elf.read(path))}
    assert machines == {"EM_AARCH64"}
    assert list(frozen.result.glob("_internal/libpython*.so.1.0"))
    assert "Linux-64bit-arm" not in frozen.log, "the bootloader is the one that was asked for"


def test_two_builds_in_different_places_are_identical(freezer: Freezer, tmp_path: Path) -> None:
    first = freezer("arm64", SETTINGS)
    # Everything that a freeze reads, elsewhere: the sysroot, the bootloader, the module itself.
    sysroot = tmp_path / "another/place/sysroot"
    shutil.copytree(first.config["sysroot"], sysroot, symlinks=True, copy_function=os.link)
    bootloader = shutil.copytree(first.config["bootloader"], tmp_path / "another/bootloader")
    module = tmp_path / "another/checkout"
    shutil.copytree(Path(__file__).parents[2] / "meta-wr-nvidia-k8s/lib", module)
    second = freezer("arm64", SETTINGS, library_path=module, sysroot=str(sysroot), bootloader=str(bootloader))
    assert first.status == second.status == 0, first.error + second.error
    ours, theirs = tree(first.result), tree(second.result)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_a_hook_is_told_of_the_target(freezer: Freezer, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "hook-json.py").write_text(f"""
import ctypes.util, importlib.machinery, json, pathlib, platform, shutil, subprocess, sys, sysconfig
from PyInstaller.utils.hooks import exec_statement, get_module_file_attribute
pathlib.Path({str(tmp_path)!r}, "told").write_text(json.dumps({{
    "machine": platform.machine(), "suffix": importlib.machinery.EXTENSION_SUFFIXES[0],
    "prefix": sys.prefix, "multiarch": sysconfig.get_config_var("MULTIARCH"),
    "extension": get_module_file_attribute("_queue"), "module": get_module_file_attribute("yaml"),
    "child": exec_statement("import sys; print(sys.prefix)"), "library": ctypes.util.find_library("expat"),
    "ldconfig": subprocess.check_output(["ldconfig", "-p"], text=True),
}}))
""")
    frozen = freezer("arm64", "import json", extra_args=[f"--additional-hooks-dir={hooks}"])
    assert frozen.status == 0, frozen.error
    told = json.loads((tmp_path / "told").read_text())
    prefix = frozen.config["sysroot"] + "/usr"
    assert {key: told[key] for key in ("machine", "suffix", "prefix", "multiarch", "child", "library")} == {
        "machine": "aarch64", "suffix": SUFFIX, "prefix": prefix, "multiarch": "aarch64-linux-gnu", "child": prefix,
        "library": "libexpat.so.1",
    }  # fmt: skip
    assert told["extension"] == f"{prefix}/lib/{PYTHON}/lib-dynload/_queue{SUFFIX}"
    assert told["module"].startswith(prefix)
    assert f"libz.so.1 (libc6) => {prefix}/lib/aarch64-linux-gnu/libz.so.1" in told["ldconfig"]


def test_what_is_built_in_is_read_from_the_targets_python(
        freezer: Freezer, library: MakeLibrary, tmp_path: Path) -> None:
    """_bisect is compiled into Debian's interpreter, which runs PyInstaller, but not into this target's."""
    sysroot = tmp_path / "sysroot"
    shutil.copytree(freezer("arm64", "print(1)").config["sysroot"], sysroot, symlinks=True, copy_function=os.link)
    (python,) = sysroot.glob("usr/lib/aarch64-linux-gnu/libpython*.so.1.0")
    python.unlink()
    library(python.name, folder=python.parent, source="void PyInit__thread(void) {}")
    library(f"_bisect{SUFFIX}", folder=sysroot / "usr/lib" / PYTHON / "lib-dynload")
    frozen = freezer("arm64", "import _bisect, _thread", sysroot=str(sysroot))
    assert frozen.status == 0, frozen.error
    assert list(frozen.result.rglob("_bisect*")) == [frozen.result / f"_internal/{PYTHON}/lib-dynload/_bisect{SUFFIX}"]


def test_one_file_holds_what_the_directory_would(freezer: Freezer) -> None:
    frozen = freezer("amd64", "import json, _queue; print(json.dumps(_queue.__name__))", mode="onefile")
    assert frozen.status == 0, frozen.error
    assert [path.name for path in Path(frozen.config["output"]).iterdir()] == ["program"]
    done = subprocess.run([frozen.result], env={"PATH": ""}, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ('"_queue"\n', "")


@pytest.mark.parametrize("mode", ["onedir", "onefile"])
def test_contamination(freezer: Freezer, library: MakeLibrary, tmp_path: Path, mode: str) -> None:
    """An extension module of the build machine under the target's name: the mistake that is made in silence."""
    modules = tmp_path / "modules"
    library(f"speedups{SUFFIX}", arch="amd64", folder=modules)
    frozen = freezer("arm64", "import speedups", modules=modules, mode=mode)
    assert frozen.status == 1
    assert f"speedups{SUFFIX} is for another machine: expected AARCH64" in frozen.error
    assert not frozen.result.exists(), "nothing is put in place"


def test_an_extension_of_the_build_machine_is_not_found(
        freezer: Freezer, library: MakeLibrary, tmp_path: Path) -> None:
    modules = tmp_path / "modules"
    library(f"speedups{SUFFIX}".replace("aarch64", "x86_64"), arch="amd64", folder=modules)
    frozen = freezer("arm64", "import speedups", modules=modules)
    assert frozen.status == 0, frozen.error
    assert not list(frozen.result.rglob("speedups*"))


def test_a_library_that_is_not_in_the_sysroot(freezer: Freezer, library: MakeLibrary, tmp_path: Path) -> None:
    modules = tmp_path / "modules"
    gone = library("libnowhere.so.1")
    library(f"speedups{SUFFIX}", folder=modules, needs=[gone])
    frozen = freezer("arm64", "import speedups", modules=modules)
    assert frozen.status == 1
    assert "Library not found: could not resolve 'libnowhere.so.1'" in frozen.error
    assert f"speedups{SUFFIX} needs libnowhere.so.1" in frozen.error


def test_an_import_that_was_promised(freezer: Freezer) -> None:
    frozen = freezer("arm64", "print(1)", hidden_imports=["no_such_module"])
    assert frozen.status == 1
    assert "Hidden import 'no_such_module' not found" in frozen.error


def test_a_build_path_in_packed_code(freezer: Freezer, tmp_path: Path) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "where.py").write_text(f"PLACE = {str(tmp_path / 'build')!r}\n")
    frozen = freezer("arm64", "import where", modules=modules, build_paths=[str(tmp_path / "build")])
    assert frozen.status == 1
    assert f"program (where) names the build path {tmp_path / 'build'}" in frozen.error


def test_the_sysconfig_data_that_names_the_build_is_cleaned(freezer: Freezer, tmp_path: Path) -> None:
    """OE-core stages the target's _sysconfigdata with its work directory in it."""
    stage = tmp_path / "stage"
    original = freezer("arm64", "print(1)").config["sysroot"]
    shutil.copytree(original, stage, symlinks=True, copy_function=os.link)
    for path in (stage / "usr/lib" / PYTHON).glob("_sysconfigdata_*.py"):
        text = path.read_text()
        path.unlink()
        path.write_text(text.replace("'CC': 'aarch64-linux-gnu-gcc'", f"'CC': 'gcc --sysroot={tmp_path}/stage'"))
        assert str(tmp_path) in path.read_text()
    frozen = freezer("arm64", SETTINGS, sysroot=str(stage), build_paths=[str(tmp_path / "stage")])
    assert frozen.status == 0, frozen.error


def test_a_failure_leaves_what_was_there(freezer: Freezer, tmp_path: Path) -> None:
    good = freezer("arm64", "print(1)", output=str(tmp_path / "output"))
    before = tree(good.result)
    bad = freezer("arm64", "print(2)", hidden_imports=["no_such_module"], output=str(tmp_path / "output"))
    assert (good.status, bad.status) == (0, 1)
    assert tree(bad.result) == before
    again = freezer("arm64", "print(3)", output=str(tmp_path / "output"))
    assert again.status == 0
    assert tree(again.result) != before
    assert [path.name for path in (tmp_path / "output").iterdir()] == ["program"]


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """The class's interpreter for qemu, compiled against Debian's Python of the target."""

    def make(folder: Path) -> None:
        root.unpack(folder, "arm64", [f"lib{PYTHON}-dev"], folder / ".apt")

    tree = Cached("freeze/dev", PYTHON, apt.codename()).get(make)
    path = tmp_path / "target-python"
    (python,) = tree.glob("usr/lib/aarch64-linux-gnu/libpython*.so.1.0")
    source = Path(pyinstaller_cross.__file__).with_name("interpreter.c")
    include = [f"-I{tree}/usr/include/{PYTHON}", f"-I{tree}/usr/include", f"-I{tree}/usr/include/aarch64-linux-gnu"]
    command: list[str | Path] = ["aarch64-linux-gnu-gcc", "-Wall", "-Werror", *include, "-o", path, source, python]
    subprocess.run([*command, "-Wl,--allow-shlib-undefined"], check=True)
    return path


def test_what_only_an_import_tells(freezer: Freezer, tmp_path: Path, interpreter: Path) -> None:
    """A package that needs an extension module of the target to be imported: an error, unless qemu imports it."""
    package = tmp_path / "modules/package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import yaml._yaml\n")
    (package / "plugin.py").write_text("")
    arguments = {"extra_args": ["--collect-submodules=package"], "modules": package.parent}
    native = freezer("arm64", "import json", **arguments)
    assert native.status == 1
    assert "Failed to collect submodules for 'package' because importing 'package' raised: ImportError" in native.error
    assert "let child processes run under qemu" in native.error
    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip("qemu-aarch64-static: apt-get install qemu-user-static")
    sysroot = native.config["sysroot"]
    qemu = ["qemu-aarch64-static", "-L", sysroot, "-E", f"PYTHONHOME={sysroot}/usr"]
    emulated = freezer("arm64", "import json", **arguments, child="qemu", qemu=qemu, target_python=str(interpreter))
    assert emulated.status == 0, emulated.error
    bundle = json.loads((Path(emulated.config["work"]) / "bundle.json").read_text())
    assert str(package / "plugin.py") in bundle["modules"]


def test_byte_code_of_another_version(freezer: Freezer) -> None:
    frozen = freezer("arm64", "print(1)", stdlib="/usr/lib/python3.99")
    assert frozen.status == 1
    assert "expected python3.99, found python3." in frozen.error
