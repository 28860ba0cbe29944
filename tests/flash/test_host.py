# SPDX-License-Identifier: MIT
"""What this machine must have is looked at before anything is written."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from flash.archives import BUILDS, called, make
from flash.places import Place, Result, need
from wr_nvidia_k8s.flash import advice, host
from wr_nvidia_k8s.flash.error import HostError
from wr_nvidia_k8s.flash.progress import SMALL, Progress
from wr_nvidia_k8s.flash.steps import Step

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
    result = flash(place, "jetson-nano", PATH=place.path_without("udisksctl", "udevadm", "cpp", "bmaptool"))
    assert result.code == 0, result.stderr
    assert "bmaptool" not in result.stderr


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


def test_progress_on_a_terminal_is_each_percent_on_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = Progress("reading x", 2 * SMALL)
    for _ in range(400):
        progress.add(2 * SMALL // 400)
    progress.add(2 * SMALL)
    assert capsys.readouterr().err == "".join(f"\rreading x {percent} %" for percent in range(101)) + "\n"


@pytest.mark.parametrize(("missing", "enough"), [(0, True), (1, False)])
def test_room_for_the_archive_and_what_its_scripts_make_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int, enough: bool
) -> None:
    """Twice the data, and half a GiB; what is reserved for root does not count."""
    data = 3 << 30
    free = (2 * data + (512 << 20)) // 4096 - missing
    state = os.statvfs_result((1 << 20, 4096, 10 * free, 2 * free, free, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: state)
    with contextlib.nullcontext() if enough else pytest.raises(HostError, match=r"expected 7\.0 GB free"):
        host.check_room(tmp_path, data)


def test_folders_for_administration_are_searched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/mine:/usr/sbin::/bin")
    assert host.path() == "/mine:/usr/sbin:/bin:/usr/local/sbin:/sbin"
    monkeypatch.delenv("PATH")
    assert host.path() == "/usr/local/sbin:/usr/sbin:/sbin"


def test_sudo_and_yaml_only_where_they_are_wanted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.tool("python3", "#!/bin/sh\nexit 1\n")
    (place.tools / "sudo").unlink(missing_ok=True)
    monkeypatch.setattr(host, "path", lambda: str(place.tools))
    host.check_commands(["udevadm"], sudo=False)
    with pytest.raises(HostError, match=r"apt-get install sudo python3-yaml$"):
        host.check_commands(["udevadm"], sudo=True, yaml=True)


def test_where_archives_are_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    assert host.scratch() == Path("/tmp")
    monkeypatch.setenv("TMPDIR", "/large")
    assert host.scratch() == Path("/large")


@pytest.mark.parametrize(
    ("image", "tools"),
    [("x.wic", []), ("x.wic.gz", ["gzip"]), ("x.wic.bz2", ["bzip2"]), ("x.wic.xz", ["xz"]), ("x.wic.zst", ["zstd"])],
)
def test_what_writes_a_disk_image(image: str, tools: list[str]) -> None:
    assert host.for_wic(Path(image)) == ["bmaptool", *tools]


def test_without_a_folder_for_temporary_files(place: Place) -> None:
    need("dtc", "cpp", "sgdisk", "partprobe")
    result = flash(place, TMPDIR=str(place.folder / "none"))
    assert result.code == 69
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert str(place.folder / "none") in result.stderr


def test_the_explanation_comes_while_the_script_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advice, "WAITED_LONG", 0.0)
    Step("Write", ["printf", "Waiting for USB storage device mmcblk1"], captured=True).run(tmp_path)
    said = capsys.readouterr().err
    assert said.startswith("Waiting for USB storage device mmcblk1\nwaiting for 0 s by now; Ctrl-C ends it.")
    assert "in its slot" in said


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
