# SPDX-License-Identifier: MIT
"""Whatever would not run on the target is found in what came out, and named."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pyinstaller_cross import verify
from pyinstaller_cross.config import Config

MakeLibrary = Callable[..., Path]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        name="program", script="", sysroot=tmp_path, machine="aarch64", stdlib="/usr/lib/python3.11", library_dirs=[],
        bootloader=tmp_path, output=tmp_path, work=tmp_path, build_paths=["/home/somebody/build"],
    )  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    (path / "_internal").mkdir(parents=True)
    return path


def problems(config: Config, bundle: Path) -> list[str]:
    return verify.elf_problems(config, bundle, bundle / "_internal")


def test_a_bundle_that_is_complete_has_no_problem(config: Config, bundle: Path, library: MakeLibrary) -> None:
    libc = library("libc.so.6")
    z = library("libz.so.1", folder=bundle / "_internal", needs=[libc])
    library("_zlib.cpython-311-aarch64-linux-gnu.so", folder=bundle / "_internal/lib-dynload", needs=[z, libc])
    (bundle / "_internal/certificates.pem").write_text("text")
    assert problems(config, bundle) == []


def test_contamination_by_a_library_of_the_build_machine(config: Config, bundle: Path, library: MakeLibrary) -> None:
    library("_ssl.cpython-311-x86_64-linux-gnu.so", arch="amd64", folder=bundle / "_internal/lib-dynload")
    (problem,) = problems(config, bundle)
    assert "_internal/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so is for another machine" in problem
    assert "expected AARCH64 64-bit" in problem
    assert "found X86_64 64-bit" in problem


def test_a_needed_library_that_is_nowhere(config: Config, bundle: Path, library: MakeLibrary) -> None:
    z = library("libz.so.1")
    library("liba.so", folder=bundle / "_internal", needs=[z])
    assert problems(config, bundle) == [
        "_internal/liba.so needs libz.so.1, which is neither bundled nor a library every target has"
    ]


def test_a_needed_library_that_is_bundled_where_it_is_not_looked_for(
        config: Config, bundle: Path, library: MakeLibrary) -> None:
    z = library("libz.so.1", folder=bundle / "_internal/package.libs")
    library("liba.so", folder=bundle / "_internal", needs=[z])
    assert len(problems(config, bundle)) == 1
    library("liba.so", folder=bundle / "_internal", needs=[z], flags=["-Wl,-rpath,$ORIGIN/package.libs"])
    assert problems(config, bundle) == []


def test_the_targets_c_library_stays_the_targets(config: Config, bundle: Path, library: MakeLibrary) -> None:
    library("libm.so.6", folder=bundle / "_internal")
    (problem,) = problems(config, bundle)
    assert "_internal/libm.so.6 belongs to the target's C library" in problem


@pytest.mark.parametrize("name", ["libcrypt.so.1", "libstdc++.so.6", "libgcc_s.so.1", "libcurl.so.4", "libnsl.so.2"])
def test_only_the_c_library_is_on_every_target(config: Config, name: str) -> None:
    assert not config.is_system_library(name)


@pytest.mark.parametrize("name", ["libc.so.6", "libpthread.so.0", "ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2",
                                  "libc.musl-aarch64.so.1", "ld-musl-aarch64.so.1", "libmvec.so.1"])
def test_the_c_library_is_on_every_target(config: Config, name: str) -> None:
    assert config.is_system_library(name)


@pytest.mark.parametrize("message", [
    "123 WARNING: Library not found: could not resolve 'libz.so.1', dependency of '/x/liba.so'.",
    "5 WARNING: Failed to collect submodules for 'grpc' because importing 'grpc' raised: ImportError",
    "77 WARNING: Library libfoo.so.1 required via ctypes not found",
    "9 ERROR: Hidden import 'no_such_module' not found",
])  # fmt: skip
def test_what_pyinstaller_only_warns_of(message: str) -> None:
    (problem,) = verify.log_problems(f"1 INFO: PyInstaller: 6\n{message}\n2 INFO: Build complete!\n")
    assert message in problem


def test_a_clean_log() -> None:
    assert verify.log_problems("1 INFO: PyInstaller\n2 WARNING: Ignoring icon; supported only on Windows!\n") == []


def test_the_name_of_a_build_directory(config: Config, bundle: Path) -> None:
    (bundle / "_internal/data.txt").write_text("made in /home/somebody/build/tmp")
    with zipfile.ZipFile(bundle / "_internal/base_library.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("clean.pyc", b"nothing")
        archive.writestr("dirty.pyc", b"nothing" * 100 + b"/home/somebody/build/x.py")
    found = verify.build_path_problems(config, bundle)
    assert found == [
        "_internal/base_library.zip (dirty.pyc) names the build path /home/somebody/build",
        "_internal/data.txt names the build path /home/somebody/build",
    ]
