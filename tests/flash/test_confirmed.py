# SPDX-License-Identifier: MIT
"""What is written is the device that was confirmed: shown with what is on it, then held. On real loop devices."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from flash.archives import BUILDS, called, make
from flash.places import MIB, TOP, Loop, Place, need, run
from flash.test_devices import target
from wr_nvidia_k8s.flash import device, root
from wr_nvidia_k8s.flash.error import StepFailed
from wr_nvidia_k8s.flash.steps import Step

Loops = Callable[..., Loop]
Target = tuple[str, Path]
__all__ = ["target"]


def asked(place: Place, board: str, image: Path, disk: Loop, then: Callable[[], object]) -> tuple[int, str]:
    """Exit code and words of the command, where ``then`` happens between the question and the answer yes."""
    keyboard, terminal = pty.openpty()
    command: list[str | Path] = [TOP / "scripts/flash", board, "--image", image, "--device", disk.path]
    with subprocess.Popen(
        command, env=place.environment(), stdin=terminal, stderr=subprocess.PIPE, cwd=place.folder
    ) as process:
        assert process.stderr is not None
        said = b""
        while b"Type yes to go on" not in said:
            said += (data := os.read(process.stderr.fileno(), 4096))
            assert data, said.decode()
        then()
        os.write(keyboard, b"yes\n")
        said += process.stderr.read()
        code = process.wait()
    os.close(keyboard)
    os.close(terminal)
    return code, said.decode()


def test_the_name_means_another_device_by_then(place: Place, target: Target, loop: Loops) -> None:
    board, image = target
    disk = loop(48)
    other = place.folder / "other"
    other.write_bytes(os.urandom(MIB) * 48)
    before = other.read_bytes()

    def exchange() -> None:
        run("losetup", "--detach", disk.path)
        run("losetup", disk.path, other)

    code, said = asked(place, board, image, disk, exchange)
    assert other.read_bytes() == before
    assert code == 77, said
    assert f"expected the device that was confirmed, {disk.path} is another one by now" in said
    assert f"file {disk.file} before, {other} now" in said
    assert "nothing was written" in said
    assert "incomplete" not in said
    assert (called(image), list(place.tmp.iterdir())) == ([], [])


def test_the_same_file_attached_again_is_another_device(place: Place, loop: Loops, target: Target) -> None:
    """Name, number, size and file are the same: only diskseq tells."""
    board, image = target
    disk = loop(48)
    if not Path(f"/sys/class/block/{Path(disk.path).name}/diskseq").exists():
        pytest.skip("Linux 5.15: no diskseq in sysfs")
    before = disk.digest()

    def again() -> None:
        run("losetup", "--detach", disk.path)
        run("losetup", disk.path, disk.file)

    code, said = asked(place, board, image, disk, again)
    assert (code, disk.digest()) == (77, before), said
    assert "diskseq" in said


def test_the_device_is_taken_by_then(place: Place, target: Target, loop: Loops) -> None:
    board, image = target
    disk = loop(48)
    before = disk.digest()
    holders: list[int] = []
    code, said = asked(place, board, image, disk, lambda: holders.append(os.open(disk.path, os.O_RDONLY | os.O_EXCL)))
    os.close(holders[0])
    assert (code, disk.digest()) == (77, before), said
    assert "busy" in said
    assert (called(image), list(place.tmp.iterdir())) == ([], [])


def test_the_confirmed_device_is_written(place: Place, target: Target, loop: Loops) -> None:
    board, image = target
    disk = loop(48)
    before = disk.digest()
    code, said = asked(place, board, image, disk, lambda: None)
    assert code == 0, said
    assert disk.digest() != before


def test_what_would_be_lost_is_shown_before_the_question(place: Place, target: Target, loop: Loops) -> None:
    board, image = target
    disk = loop(48)
    partition = disk.partition()
    run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "photos", partition)
    shown = place.flash(board, "--image", image, "--device", disk.path, "--dry-run", "--json")
    assert shown.code == 0, shown.stderr
    assert shown.json["content"] == [
        f"{disk.path} (50.3 MB): gpt, PMBR",
        f"{partition} (49.3 MB): partition, ext4 'photos'",
    ]
    code, said = asked(place, board, image, disk, lambda: None)
    assert code == 0
    assert f"This overwrites the {'disk' if board == 'x86-64' else 'SD card'} {disk.path} (50.3 MB). Type yes" in said
    for line in shown.json["content"]:
        assert f"will be lost: {line}\n" in said.split("Type yes")[0]


def test_a_file_system_without_a_partition_table_is_shown(loop: Loops) -> None:
    need("mke2fs")
    disk = loop()
    run("mke2fs", "-q", "-F", "-t", "ext2", "-L", "old", disk.path)
    assert device.check(disk.path).content == [f"{disk.path} (41.9 MB): ext2 'old'"]
    assert device.check(loop(noise=False).path).content == []


def test_what_an_ordinary_user_is_shown_comes_from_udev() -> None:
    """Who may not read the disk; as lsblk 2.38 prints it."""
    none = {"pttype": None, "fstype": None, "label": None, "partlabel": None}
    part = {**none, "type": "part", "size": 16 * 10**9, "partlabel": "data", "fstype": "ext4", "label": "photos"}
    tree = {**none, "path": "/none/sdb", "type": "disk", "size": 32 * 10**9, "pttype": "gpt", "children": [
        {**part, "path": "/none/sdb1"}, {**none, "path": "/none/sdb2", "type": "part", "size": 1000}]}  # fmt: skip
    assert device.content(tree) == [
        "/none/sdb (32.0 GB): gpt",
        "/none/sdb1 (16.0 GB): partition 'data', ext4 'photos'",
        "/none/sdb2 (1.0 kB): partition",
    ]


def held(place: Place, disk: Loop, script: str) -> AbstractContextManager[Callable[[], None]]:
    """A step that may write to ``disk``, before it does."""
    command = ["sh", "-euc", script, "sh", root.HELD]
    return Step("Write", command, device=device.check(disk.path)).taken(place.folder)


def test_a_held_device_keeps_its_name(place: Place, loop: Loops) -> None:
    """As with a disk that is unplugged: its name and number are given to no other while it is held."""
    disk = loop(8)
    other = place.folder / "other"
    other.write_bytes(bytes(8 * MIB))
    with held(place, disk, 'echo written >"$1"') as write:
        run("losetup", "--detach", disk.path)
        with pytest.raises(subprocess.CalledProcessError):
            run("losetup", disk.path, other)
        write()
    assert disk.file.read_bytes().startswith(b"written\n")
    assert other.read_bytes() == bytes(8 * MIB)


def test_nobody_else_takes_it_before_it_is_written(place: Place, loop: Loops) -> None:
    disk = loop(8)
    with held(place, disk, 'echo written >"$1"'), pytest.raises(OSError, match="busy"):
        os.open(disk.path, os.O_RDONLY | os.O_EXCL)
    assert b"written" not in disk.file.read_bytes()  # it was never told to


def test_the_writer_can_take_it_and_partition_it(place: Place, loop: Loops) -> None:
    """bmaptool opens exclusively, and the kernel reads a new partition table only of a disk that nobody holds so."""
    disk = loop(8)
    script = """
        python3 -c 'import os, sys; os.close(os.open(sys.argv[1], os.O_WRONLY | os.O_EXCL))' "$1"
        blockdev --rereadpt "$1"
    """
    with held(place, disk, script) as write:
        write()


def test_a_medium_that_is_exchanged_while_it_is_written(loop: Loops) -> None:
    """A card reader is the same device before and after: only its diskseq changes, which is played here."""
    disk = loop(8)
    identity = root.identity(disk.path)
    script = f"""if True:
        import sys
        sys.path.insert(0, {str(TOP / "scripts")!r})
        from wr_nvidia_k8s.flash import root
        real, calls = root.identity, []
        def identity(device):
            calls.append(device)
            return {{**real(device), "diskseq": {identity["diskseq"]!r} if len(calls) == 1 else "later"}}
        root.identity = identity
        sys.exit(root.main())
    """
    arguments = ["--path", os.environ["PATH"], "--device", disk.path, "--identity", json.dumps(identity)]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments, "--", "true"], capture_output=True, text=True, check=False
    )
    assert done.returncode == os.EX_IOERR, done.stderr
    assert f"ERR: {disk.path} was exchanged or taken out while it was written" in done.stderr


@pytest.mark.parametrize("file", ["serial", "wwid"])
def test_a_serial_number_is_that_of_the_device_or_of_what_it_is_in(tmp_path: Path, file: str) -> None:
    """As sysfs has it for a USB stick: the number is some folders above the disk."""
    stick = tmp_path / "pci0000:00/usb1/1-2"
    disk = stick / "1-2:1.0/host0/target0:0:0/0:0:0:0/block/sdb"
    disk.mkdir(parents=True)
    (stick.parent / file).write_text("0000:00:14.0\n")
    (stick / file).write_text("AA11\n")
    assert root.serial(disk) == "AA11"
    (disk / file).write_text("its own\n")
    assert root.serial(disk) == "its own"


def test_what_root_gives_back_is_all_in_the_folder_and_nothing_else(tmp_path: Path) -> None:
    """The archive's scripts may leave links: what they point to keeps its owner."""
    if os.geteuid():
        pytest.skip("other users' files: run as root")
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (folder / "device-logs/deep").mkdir(parents=True)
    outside.mkdir()
    for file in (outside / "file", folder / "log", folder / "device-logs/deep/log"):
        file.touch()
    (folder / "link").symlink_to(outside / "file")
    (folder / "device-logs/link").symlink_to(outside)
    root.give_back(str(folder), 65534, 65533)
    given = [path.lstat() for path in folder.rglob("*")]
    assert {(state.st_uid, state.st_gid) for state in given} == {(65534, 65533)}
    assert {path.lstat().st_uid for path in (tmp_path, outside, outside / "file")} == {0}


@pytest.mark.parametrize(("script", "status"), [("exit 3", 3), ("kill -9 $$", 137)])
def test_a_writer_that_fails_is_told_with_its_status(place: Place, loop: Loops, script: str, status: int) -> None:
    """128 and the signal's number where one ended it, as in a shell: the kernel's for a lack of memory, say."""
    words = rf"Write: sh failed \(status {status}\)"
    with held(place, loop(8), script) as write, pytest.raises(StepFailed, match=words):
        write()


def test_a_card_is_refused_where_it_is_too_small(place: Place, loop: Loops) -> None:
    """Only the archive says how much it needs."""
    need("dtc", "fdtput", "sgdisk", "partprobe")
    image = make(place.folder / "image", BUILDS["jetson-nano"], place.folder / "sys")
    disk = loop(16)
    result = place.flash("jetson-nano", "--image", image, "--device", disk.path, "--yes")
    assert (result.code, called(image), result.left) == (77, [], [])
