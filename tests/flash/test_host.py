# SPDX-License-Identifier: MIT
"""What this machine must have is looked at before anything is written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from flash.archives import BUILDS, called, make
from flash.places import Place, Result, need
from wr_nvidia_k8s.flash import advice
from wr_nvidia_k8s.flash.progress import SMALL, Progress

ORIN = BUILDS["jetson-orin-nano"]


def flash(place: Place, board: str = ORIN.board, prefix: tuple[str | Path, ...] = (), **changes: str) -> Result:
    image = make(place.folder / "image", BUILDS[board], place.folder / "sys")
    place.plug("1-2", BUILDS[board].product)
    place.variables |= changes
    result = place.flash(board, "--image", image, "--yes", prefix=prefix)
    assert result.code == 0 or called(image) == []
    return result


@pytest.mark.parametrize(
    ("board", "commands", "packages"),
    [
        ("jetson-orin-nano", ("dtc", "cpp", "udisksctl"), "device-tree-compiler cpp udisks2"),
        ("jetson-nano", ("fdtput", "dtc"), "device-tree-compiler"),
    ],
)
def test_missing_commands_are_named_with_their_packages(
    place: Place, board: str, commands: tuple[str, ...], packages: str
) -> None:
    need("dtc", "fdtput", "cpp", "sgdisk", "partprobe")
    result = flash(place, board, PATH=place.path_without(*commands))
    assert result.code == 69, result.stderr
    for command in commands:
        assert command in result.stderr
    named = result.stderr.split("sudo apt-get install ")[1].splitlines()[0]
    assert set(named.split()) == set(packages.split())


def test_what_an_archive_does_not_use_is_not_asked_for(place: Place) -> None:
    need("dtc", "fdtput")
    result = flash(place, "jetson-nano", PATH=place.path_without("udisksctl", "udevadm", "cpp"))
    assert result.code == 0, result.stderr


def test_clangs_cpp_is_refused(place: Place) -> None:
    need("dtc", "sgdisk", "partprobe")
    place.tool("cpp", "#!/bin/sh\necho 'Debian clang version 14.0.6'\n")
    result = flash(place)
    assert result.code == 69
    assert "GNU's cpp" in result.stderr


@pytest.mark.parametrize("there", [True, False])
def test_yaml_is_wanted_where_the_archive_imports_it(place: Place, there: bool) -> None:
    need("dtc", "cpp", "sgdisk", "partprobe")
    image = make(place.folder / "image", ORIN, place.folder / "sys",
                 files={"tegrasign_v3.py": "import sys\nimport yaml\n"})  # fmt: skip
    place.plug("1-2", ORIN.product)
    # The python3 that the archive's scripts will find; the command itself runs on Debian's.
    module = place.folder / "modules/yaml.py"
    module.parent.mkdir()
    if there:
        module.touch()
    place.tool("python3", f"#!/bin/sh\nPYTHONPATH={module.parent} exec /usr/bin/python3 -S \"$@\"\n")
    result = place.flash(ORIN.board, "--image", image, "--dry-run")
    assert result.code == (0 if there else 69), result.stderr
    assert ("python3-yaml" in result.stderr) is not there


@pytest.mark.parametrize(("options", "words"), [("size=8m", "free below"), ("noexec", "noexec")])
def test_room_and_rights_to_unpack(place: Place, options: str, words: str) -> None:
    need("dtc", "cpp", "sgdisk", "partprobe")
    prefix = ("unshare", "--mount", "--propagation", "private", "sh", "-euc",
              f'mount -t tmpfs -o {options} tmpfs {place.tmp}; exec "$@"', "sh")  # fmt: skip
    if os.geteuid() or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("mount namespaces: run as root")
    result = flash(place, prefix=prefix)
    assert result.code == 69
    assert words in result.stderr
    assert "TMPDIR" in result.stderr


def test_nvidias_tools_are_for_x86_64(place: Place) -> None:
    need("setarch")
    result = flash(place, prefix=("setarch", "i686"))
    assert result.code == 69
    assert "expected an x86-64 machine" in result.stderr


def test_progress_of_a_large_file(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("reading x", 10 * SMALL)
    for _ in range(100):
        progress.add(SMALL // 10)
    lines = capsys.readouterr().err.splitlines()
    assert [line.removeprefix("reading x ") for line in lines] == [f"{ten} %" for ten in range(0, 100, 10)]
    progress.add(SMALL)
    assert capsys.readouterr().err == "reading x 100 %\n"
    Progress("reading y", SMALL - 1).add(SMALL - 1)
    assert capsys.readouterr().err == ""


def test_a_wait_without_end_is_explained_once() -> None:
    hint = advice.WaitHint()
    assert hint.feed("== Step 4 ==\nWaiting for USB storage device mmcblk1 from 1137aeb0...", 1000.0) is None
    assert hint.feed(".", 1060.0) is None
    said = hint.feed(".", 1000.0 + advice.WAITED_LONG)
    assert said is not None
    assert "in its slot" in said
    assert hint.feed(".", 2000.0) is None
    assert hint.feed("[/dev/sda]\nWriting partitions\n", 3000.0) is None
    assert hint.feed("  Writing a large file...", 9000.0) is None
    assert hint.feed("\nWaiting for USB storage device flashpkg from 1137aeb0...", 9001.0) is None
    again = hint.feed(".", 9001.0 + advice.WAITED_LONG)
    assert again is not None
    assert "another cable" in again
