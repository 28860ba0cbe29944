# SPDX-License-Identifier: MIT
"""Libraries are found below a sysroot as ld.so(8) would find them on the target."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pyinstaller_cross import elf
from pyinstaller_cross.resolver import Resolver

ARM64 = elf.abi_of_machine("aarch64")
MakeLibrary = Callable[..., Path]


def test_what_is_needed_is_found_in_the_default_directories_and_so_on(tmp_path: Path, library: MakeLibrary) -> None:
    usr_lib, lib = tmp_path / "usr/lib", tmp_path / "lib"
    c = library("libc3.so.3", folder=lib)
    b = library("libb.so.2", folder=usr_lib, needs=[c])
    a = library("liba.so.1", needs=[b])
    resolver = Resolver(tmp_path, ["/usr/lib", "/lib"], ARM64)
    assert resolver.dependencies(a) == {"libb.so.2": b, "libc3.so.3": c}
    assert set(resolver.cache()) == {"libb.so.2", "libc3.so.3"}


def test_what_is_nowhere_is_named(tmp_path: Path, library: MakeLibrary) -> None:
    gone = library("libgone.so.1")
    a = library("liba.so.1", needs=[gone])
    gone.unlink()
    assert Resolver(tmp_path / "empty", ["/usr/lib"], ARM64).dependencies(a) == {"libgone.so.1": None}


def test_a_library_of_another_machine_is_passed_over(tmp_path: Path, library: MakeLibrary) -> None:
    first, second = tmp_path / "usr/local/lib", tmp_path / "usr/lib"
    right = library("libz.so.1", folder=second)
    a = library("liba.so.1", needs=[right])
    library("libz.so.1", arch="amd64", folder=first)
    resolver = Resolver(tmp_path, ["/usr/local/lib", "/usr/lib"], ARM64)
    assert resolver.dependencies(a) == {"libz.so.1": right}
    assert resolver.cache()["libz.so.1"] == right
    assert resolver.dependencies(first / "libz.so.1") is None, "its own dependencies are not the target's to tell"


def test_runpath_is_for_the_library_itself_rpath_for_what_it_loads_too(tmp_path: Path, library: MakeLibrary) -> None:
    private = tmp_path / "app/private"
    deep = library("libdeep.so.1", folder=private)
    middle = library("libmiddle.so.1", folder=private, needs=[deep])
    path = "-rpath,$ORIGIN/private"
    old = library("old.so", folder=tmp_path / "app", needs=[middle], flags=[f"-Wl,--disable-new-dtags,{path}"])
    new = library("new.so", folder=tmp_path / "app", needs=[middle], flags=[f"-Wl,--enable-new-dtags,{path}"])
    resolver = Resolver(tmp_path, ["/usr/lib"], ARM64)
    assert resolver.dependencies(old) == {"libmiddle.so.1": middle, "libdeep.so.1": deep}
    assert resolver.dependencies(new) == {"libmiddle.so.1": middle, "libdeep.so.1": None}
    # What has a runpath of its own does not look in the rpath of what loads it.
    library("libmiddle.so.1", folder=private, needs=[deep], flags=["-Wl,--enable-new-dtags,-rpath,/nowhere"])
    assert resolver.dependencies(old) == {"libmiddle.so.1": middle, "libdeep.so.1": None}


def test_absolute_paths_are_the_targets(tmp_path: Path, library: MakeLibrary) -> None:
    real = library("libz.so.1.3", folder=tmp_path / "opt/z", flags=["-Wl,-soname,libz.so.1"])
    a = library("liba.so", needs=[real])
    (tmp_path / "usr/lib").mkdir(parents=True)
    link = tmp_path / "usr/lib/libz.so.1"
    link.symlink_to("/opt/z/libz.so.1.3")
    resolver = Resolver(tmp_path, ["/usr/lib"], ARM64)
    assert resolver.dependencies(a) == {"libz.so.1": link}
    assert resolver.real(link) == real
    b = library("libb.so", needs=[real], flags=["-Wl,--disable-new-dtags,-rpath,/opt/z"])
    (tmp_path / "opt/z/libz.so.1").symlink_to("libz.so.1.3")
    assert resolver.dependencies(b) == {"libz.so.1": tmp_path / "opt/z/libz.so.1"}


@pytest.mark.parametrize("program", ["bash", "apt-get", "systemctl", "python3"])
def test_on_this_machine_it_finds_what_ldd_finds(program: str) -> None:
    found = Path(f"/usr/bin/{program}")
    if shutil.which("ldd") is None or not found.exists():
        pytest.skip(f"{found}, ldd: present on Debian")
    file = found.resolve()
    lines = subprocess.run(["ldd", file], capture_output=True, text=True, check=True).stdout
    expected = {name: os.path.realpath(path) for name, path in re.findall(r"^\t(\S+) => (\S+) \(", lines, re.MULTILINE)}
    assert expected
    triplet = f"{os.uname().machine}-linux-gnu"
    directories = ["/lib", "/usr/lib", f"/lib/{triplet}", f"/usr/lib/{triplet}"]
    resolver = Resolver(Path("/"), directories, elf.abi_of_machine(os.uname().machine))
    ours = {name: os.path.realpath(path) for name, path in (resolver.dependencies(file) or {}).items() if path}
    # ldd prints the dynamic linker in a form of its own.
    assert {name: path for name, path in ours.items() if not name.startswith("ld-linux")} == expected
