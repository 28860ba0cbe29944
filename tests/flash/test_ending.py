# SPDX-License-Identifier: MIT
"""The command ends: by a signal, without root's rights, with problems. Nothing is left, and nothing false is said."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flash.archives import BUILDS, called, make
from flash.disks import make_wic
from flash.places import TOP, Loop, Place, in_foreground, need
from flash.test_usb import as_user

Loops = Callable[..., Loop]
ORIN = BUILDS["jetson-orin-nano"]
# Says where it is, and writes for ever, with a child that does not care for Ctrl-C.
WRITER = """#!/bin/bash
[ "${@: -1}" != /dev/null ] || exit 0
trap '' INT
sleep 1000000 &
echo "writing: $$ $!" >&2
wait
"""


@pytest.mark.parametrize("user", ["root", "sudo"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_nothing_goes_on_writing(place: Place, loop: Loops, user: str, number: signal.Signals, code: int) -> None:
    """Also what root writes for an ordinary user, who may not signal it; also when there is no time for anything."""
    need("bmaptool", "sgdisk", "mke2fs")
    image = make_wic(place.folder / "image")
    disk = loop(48)
    place.tool("bmaptool", WRITER)
    prefix = as_user(place) if user == "sudo" else ()
    command: list[str | Path] = [*prefix, TOP / "scripts/flash", "x86-64", "--image", image, "--device", disk.path]
    with subprocess.Popen(
        [*command, "--yes"], env=place.environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True, cwd=place.folder, preexec_fn=in_foreground,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        line = next(line for line in process.stderr if line.startswith("writing: "))
        running = [os.pidfd_open(int(word)) for word in line.split()[1:]]
        process.send_signal(number)
        said = process.stderr.read()  # to its end: what has it open has ended
        assert process.wait() == code, said
    for pidfd in running:
        assert select.select([pidfd], [], [], 60)[0], "still running"
        os.close(pidfd)
    assert (number == signal.SIGKILL) or "interrupted; what is on the target is incomplete" in said


@contextlib.contextmanager
def flashing(place: Place, loop: Loops, tool: str, *prefix: str) -> Iterator[tuple[subprocess.Popen[str], Loop]]:
    """The command while it writes a disk, with a stand-in for bmaptool; what it says is read from its stderr."""
    need("bmaptool", "sgdisk", "mke2fs")
    image = make_wic(place.folder / "image")
    disk = loop(48, noise=False)
    place.tool("bmaptool", tool)
    command: list[str | Path] = [*prefix, TOP / "scripts/flash", "x86-64", "--image", image, "--device", disk.path]
    with subprocess.Popen(
        [*command, "--yes"], env=place.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=in_foreground,
    ) as process:  # fmt: skip
        yield process, disk


def line_with(process: subprocess.Popen[str], words: str) -> str:
    """The next line on its stderr that begins so."""
    assert process.stderr is not None
    return next(line for line in process.stderr if line.startswith(words))


def rest(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code, and what is said up to the end."""
    assert process.stderr is not None
    said = process.stderr.read()
    return process.wait(), said


# Says that it was asked to end, and does not before it is told to.
STUBBORN = """#!/bin/bash
[ "${@: -1}" != /dev/null ] || exit 0
trap 'echo asked >&2' INT
echo writing >&2
while :; do sleep 0.1; done
"""


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [(signal.SIGINT, signal.SIGINT, 130), (signal.SIGTERM, signal.SIGHUP, 143)],
)
def test_a_second_signal_changes_nothing(
    place: Place, loop: Loops, first: signal.Signals, second: signal.Signals, code: int
) -> None:
    """Who presses Ctrl-C twice is not told that nothing was written."""
    with flashing(place, loop, STUBBORN) as (process, _):
        for words, number in (("writing", first), ("asked", second)):
            line_with(process, words)
            process.send_signal(number)
        found, said = rest(process)
    assert found == code, said
    assert "interrupted; what is on the target is incomplete" in said
    assert "Traceback" not in said


# Takes its time to clean up after Ctrl-C, as bmaptool does.
CLEANER = """#!/bin/bash
[ "${@: -1}" != /dev/null ] || exit 0
trap 'sleep 0.5; echo cleaned >&2; exit 1' INT
echo writing >&2
while :; do sleep 0.1; done
"""


def test_what_writes_may_clean_up(place: Place, loop: Loops) -> None:
    with flashing(place, loop, CLEANER) as (process, _):
        line_with(process, "writing")
        process.terminate()
        code, said = rest(process)
    assert code == 143, said
    assert "cleaned\n" in said


# Reads the image for ever; what it is told to write, it notes.
READER = """#!/bin/bash
if [ "${@: -1}" = /dev/null ]; then
    echo "reading: $$" >&2
    exec sleep 1000000
fi
echo "$@" >"$(dirname "$0")/written"
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_the_disk_image_is_verified(
    place: Place, loop: Loops, number: signal.Signals, code: int
) -> None:
    """The disk is held by then, and stays as it was."""
    with flashing(place, loop, READER) as (process, disk):
        reader = os.pidfd_open(int(line_with(process, "reading: ").split()[1]))
        process.send_signal(number)
        found, said = rest(process)
    assert found == code, said
    assert select.select([reader], [], [], 60)[0], "still running"
    os.close(reader)
    assert "interrupted; nothing was written" in said
    assert "incomplete" not in said
    assert not (place.tools / "written").exists()
    assert not any(Path(disk.path).read_bytes())


# Writes once it is told to.
WAITER = """#!/bin/bash
[ "${@: -1}" != /dev/null ] || exit 0
echo waiting >&2
read -r <"$(dirname "$0")/go"
echo written >"${@: -1}"
"""


def test_nohup_lets_it_go_on_where_the_terminal_goes(place: Place, loop: Loops) -> None:
    """A terminal that goes away sends SIGHUP to all that runs on it."""
    os.mkfifo(place.tools / "go")
    go = os.open(place.tools / "go", os.O_RDWR)  # so that nobody waits for the other end
    with flashing(place, loop, WAITER, "nohup") as (process, disk):
        line_with(process, "waiting")
        os.killpg(process.pid, signal.SIGHUP)
        os.write(go, b"\n")
        code, said = rest(process)
    os.close(go)
    assert code == 0, said
    assert Path(disk.path).read_bytes().startswith(b"written\n")


def test_a_signal_before_writing_leaves_nothing(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    place.plug("1-2", ORIN.product)
    keyboard, terminal = pty.openpty()
    command: list[str | Path] = [TOP / "scripts/flash", ORIN.board, "--image", image]
    with subprocess.Popen(
        command, env=place.environment(), stdin=terminal, stderr=subprocess.PIPE, cwd=place.folder
    ) as process:
        assert process.stderr is not None
        said = b""
        while b"Type yes" not in said:
            said += os.read(process.stderr.fileno(), 4096)
        process.terminate()
        said += process.stderr.read()
        assert process.wait() == 143
    os.close(keyboard)
    os.close(terminal)
    assert b"interrupted; nothing was written" in said
    assert (called(image), list(place.tmp.iterdir())) == ([], [])


NO_SUDO = """#!/bin/sh
find "$TMPDIR" -type f >"$(dirname "$0")/unpacked"
echo "sudo: a password is required" >&2
exit 1
"""


@pytest.mark.parametrize("kind", ["usb", "card", "disk"])
def test_sudo_refuses(place: Place, loop: Loops, kind: str) -> None:
    """It is asked before anything is unpacked; then nothing is left, and nothing is said to be incomplete."""
    need("dtc", "cpp", "sgdisk", "partprobe", "bmaptool", "mke2fs")
    board = "x86-64" if kind == "disk" else ORIN.board
    images = place.folder / "image"
    image = make_wic(images) if kind == "disk" else make(images, ORIN, place.folder / "sys")
    place.plug("1-2", ORIN.product)
    prefix = as_user(place)
    place.tool("sudo", NO_SUDO)
    place.tools.chmod(0o1777)
    disk = None if kind == "usb" else loop(48)
    before = disk and disk.digest()
    result = place.flash(board, "--image", image, "--yes", "--json", *(["--device", disk.path] if disk else []),
                         prefix=prefix)  # fmt: skip
    assert (result.code, result.json["ok"], result.left, called(image)) == (77, False, [], []), result.stderr
    assert disk is None or disk.digest() == before
    assert (place.tools / "unpacked").read_text() == ""
    assert "nothing was written" in result.json["error"]
    assert "sudo: a password is required" in result.stderr
    for words in ("incomplete", "logs", "another cable"):
        assert words not in result.stderr


def test_the_dry_run_looks_at_all_without_a_board(place: Place) -> None:
    need("dtc", "cpp", "sgdisk", "partprobe")
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    fine = place.flash(ORIN.board, "--image", image, "--dry-run")
    assert fine.code == 75
    assert "FC REC" in fine.stderr
    assert "problems" not in fine.stderr
    Path(f"{image}.sha256").write_text(f"{'0' * 64}  {image.name}\n")
    place.variables["PATH"] = place.path_without("dtc", "udisksctl")
    result = place.flash(ORIN.board, "--image", image, "--dry-run", "--json")
    assert (result.code, result.json["exit_code"], called(image), result.left) == (65, 65, [], [])
    error = result.json["error"]
    for number, words in enumerate(["expected the SHA-256", "expected these on PATH, found none: dtc, udisksctl",
                                    "expected 0955:7523"], 1):  # fmt: skip
        assert f"\n{number}. {words}" in error
    nano = make(place.folder / "nano", BUILDS["jetson-nano"], place.folder / "sys")  # by doflash.sh
    result = place.flash("jetson-nano", "--image", nano, "--dry-run")
    assert result.code == 69
    assert "expected 0955:7f21" in result.stderr
    # Only a dry run goes on: the board is quickly known, the archive is not.
    real = place.flash(ORIN.board, "--image", image, "--yes")
    assert real.code == 75
    assert "SHA-256" not in real.stderr


def test_the_dry_run_without_an_image_looks_at_the_rest(place: Place, loop: Loops) -> None:
    need("losetup")
    place.variables["PATH"] = place.path_without("bmaptool")
    result = place.flash("x86-64", "--image", place.folder / "none.wic", "--device", "/dev/null", "--dry-run")
    assert result.code == 66
    for words in ("1. expected an image file", "2. expected these on PATH, found none: bmaptool",
                  "3. expected a block device"):  # fmt: skip
        assert words in result.stderr
    archive = place.folder / "none.tegraflash.zip"
    card = place.flash(ORIN.board, "--image", archive, "--device", "/dev/null", "--dry-run")
    assert card.code == 66
    for words in ("1. expected an image file", "2. expected a block device"):
        assert words in card.stderr
    image = place.folder / "image/x-intel-x86-64.wic"
    image.parent.mkdir()
    image.write_bytes(b"x")
    result = place.flash("x86-64", "--image", image, "--device", loop(1).path, "--dry-run")
    assert result.code == 66
    assert "x-intel-x86-64.wic.bmap" in result.stderr
    assert "bmaptool" in result.stderr
