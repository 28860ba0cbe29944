# SPDX-License-Identifier: MIT
"""Flash a Jetson in recovery mode: scripts/flash with an archive of each board's generation, on a simulated USB."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from flash.archives import BUILDS, ROOT_TEXT, called, make
from flash.places import TOP, Place, in_foreground, need
from wr_nvidia_k8s.commands.flash import parse
from wr_nvidia_k8s.flash import device, usb
from wr_nvidia_k8s.flash.boards import BOARDS
from wr_nvidia_k8s.flash.error import NoBoard
from wr_nvidia_k8s.flash.jetson import JetsonJob

ORIN = BUILDS["jetson-orin-nano"]


@pytest.fixture(autouse=True)
def tools() -> None:
    need("dtc", "fdtput", "cpp", "sgdisk", "partprobe")


@pytest.mark.parametrize("board", BUILDS)
def test_each_board_is_flashed_by_its_archives_own_script(place: Place, board: str) -> None:
    build = BUILDS[board]
    image = make(place.folder / "image", build, place.folder / "sys")
    place.plug("1-2", build.product)
    result = place.flash(board, "--image", image, "--yes", "--json")
    assert result.code == 0, result.stderr
    script = "doflash.sh" if board == "jetson-nano" else "initrd-flash"
    facts = result.json
    assert (facts["ok"], facts["exit_code"], facts["error"]) == (True, 0, None)
    assert (facts["method"], facts["usb"], facts["machine"]) == (script, "1-2", build.machine)
    assert (facts["device"], facts["root_device"]) == (None, build.root_device)
    assert facts["l4t"] == "R{}.{}.{}".format(*build.release)
    (call,) = called(image)
    assert call["script"] == (build.helper if script == "doflash.sh" else script)
    if script == "initrd-flash":
        assert call["arguments"] == ["--usb-instance", "1-2"]
        assert call["root_image"] == ROOT_TEXT.decode()
        assert call["holes"], "unpacking filled the holes of the root file system's image"
    assert result.left == []
    assert "done: the board restarts" in result.stderr


@pytest.mark.parametrize(("board", "method"), [("jetson-nano", "initrd-flash"), ("jetson-xavier-nx", "doflash.sh")])
def test_the_other_method_can_be_named(place: Place, board: str, method: str) -> None:
    image = make(place.folder / "image", BUILDS[board], place.folder / "sys")
    place.plug("3-1.4", BUILDS[board].product)
    result = place.flash(board, "--image", image, "--yes", "--method", method, "--json")
    assert result.code == 0, result.stderr
    assert result.json["method"] == method
    assert "3-1.4" in called(image)[0]["arguments"]  # type: ignore[operator]


def test_an_archive_without_initrd_flash_is_flashed_by_doflash(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys", initrd=False)
    place.plug("1-2", ORIN.product)
    result = place.flash(ORIN.board, "--image", image, "--yes", "--json")
    assert result.code == 0, result.stderr
    assert result.json["method"] == "doflash.sh"
    named = place.flash(ORIN.board, "--image", image, "--yes", "--method", "initrd-flash")
    assert (named.code, len(called(image))) == (2, 1)


def test_a_zst_archive(place: Place) -> None:
    need("zstd")
    image = make(place.folder / "image", ORIN, place.folder / "sys", package="zst")
    place.plug("1-2", ORIN.product)
    steps = place.flash(ORIN.board, "--image", image, "--dry-run", "--json").json["steps"]
    assert f"tar --zstd -xf {image}" in steps[0]["command"]
    result = place.flash(ORIN.board, "--image", image, "--yes")
    assert result.code == 0, result.stderr
    (call,) = called(image)
    assert (call["root_image"], call["holes"]) == (ROOT_TEXT.decode(), True)


def test_a_zip_archive_keeps_its_programs_executable(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys", package="zip")
    place.plug("1-2", ORIN.product)
    steps = place.flash(ORIN.board, "--image", image, "--dry-run", "--json").json["steps"]
    assert f'unzip -q {image} -d "$DIR"' in steps[0]["command"]
    result = place.flash(ORIN.board, "--image", image, "--yes")
    assert result.code == 0, result.stderr
    assert called(image)[0]["root_image"] == ROOT_TEXT.decode()


def test_boot_firmware_only(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    place.plug("1-2", ORIN.product)
    planned = place.flash(ORIN.board, "--image", image, "--dry-run", "--boot-firmware-only")
    assert "Write the boot firmware of 0955:7523 at 1-2 " in planned.stdout
    result = place.flash(ORIN.board, "--image", image, "--yes", "--boot-firmware-only")
    assert result.code == 0, result.stderr
    assert called(image)[0]["arguments"][-3:] == ["--spi-only", "--usb-instance", "1-2"]  # type: ignore[index]


def test_boot_firmware_only_is_refused_where_it_is_on_the_emmc(place: Place) -> None:
    build = BUILDS["jetson-agx-xavier"]
    image = make(place.folder / "image", build, place.folder / "sys")
    place.plug("1-2", build.product)
    result = place.flash(build.board, "--image", image, "--yes", "--boot-firmware-only")
    assert (result.code, called(image)) == (2, [])
    assert "keeps all on the eMMC" in result.stderr


def test_doflash_is_refused_for_a_root_file_system_on_nvme(place: Place) -> None:
    build = BUILDS["jetson-orin-nano-nvme"]
    image = make(place.folder / "image", build, place.folder / "sys")
    place.plug("1-2", build.product)
    for how in ("--yes", "--dry-run"):
        result = place.flash(build.board, "--image", image, how, "--method", "doflash.sh")
        assert (result.code, called(image)) == (2, [])
        assert "nvme0n1" in result.stderr


def test_without_a_board_it_says_how_to_enter_recovery_mode(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    place.plug("1-1", "7523", vendor="1234")
    place.plug("1-4", "7020")  # a Jetson that runs Linux
    place.plug("1-5", "7323")  # another module
    place.plug("1-7", "7223")  # one for which there is no image
    place.plug("1-6", "7f21")  # another board
    result = place.flash(ORIN.board, "--image", image, "--yes", "--json")
    assert (result.code, result.json["exit_code"], called(image)) == (75, 75, [])
    assert "expected 0955:7523 (Jetson Orin Nano 8GB) on USB" in result.stderr
    assert "0955:7020 at 1-4 (not a Jetson in recovery mode)" in result.stderr
    assert "0955:7323 at 1-5 (Jetson Orin NX 16GB)\n" in result.stderr
    assert "0955:7223 at 1-7 (Jetson AGX Orin 32GB module, for which kas/ has no image)" in result.stderr
    assert "0955:7f21 at 1-6 (Jetson Nano)\n" in result.stderr
    assert "FC REC" in result.stderr
    assert "1-1" not in result.stderr


def test_of_two_boards_one_must_be_named(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    place.plug("1-2", ORIN.product)
    place.plug("2-1", ORIN.product)
    result = place.flash(ORIN.board, "--image", image, "--yes")
    assert (result.code, called(image)) == (75, [])
    assert "--usb-instance 1-2 or 2-1" in result.stderr
    assert place.flash(ORIN.board, "--image", image, "--yes", "--usb-instance", "2-1").code == 0
    assert "2-1" in called(image)[0]["arguments"]  # type: ignore[operator]
    assert place.flash(ORIN.board, "--image", image, "--yes", "--usb-instance", "5-5").code == 75


def test_the_boards_on_usb(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """By port, as the tools call them; the node is what an ordinary user needs a udev rule for."""
    monkeypatch.setenv("SYSFS_PATH", str(place.folder / "sys"))
    assert usb.devices() == []
    place.plug("2-1.4", "7523")
    place.plug("1-3", "7f21")
    place.plug("1-1", "7523", vendor="0956")
    (place.sysfs / "1-9").mkdir()  # one that is pulled out while we look
    assert usb.devices() == [
        usb.UsbDevice("1-3", "7f21", Path("/dev/bus/usb/001/007")),
        usb.UsbDevice("2-1.4", "7523", Path("/dev/bus/usb/002/007")),
    ]
    assert usb.find("jetson-nano", BOARDS["jetson-nano"], None).port == "1-3"
    with pytest.raises(NoBoard):  # there is one, which is not at this port
        usb.find("jetson-nano", BOARDS["jetson-nano"], "2-1.4")
    with pytest.raises(NoBoard):
        usb.find("jetson-agx-orin", BOARDS["jetson-agx-orin"], None)
    monkeypatch.delenv("SYSFS_PATH")
    assert all(Path("/sys/bus/usb/devices", found.port).exists() for found in usb.devices())


@pytest.mark.parametrize(
    ("board", "method", "fails", "words"),
    [
        # The real initrd-flash ends with 0 in the first two cases.
        ("jetson-orin-nano", "initrd-flash", "board", "its logs are in device-logs-"),
        ("jetson-nano", "initrd-flash", "write", "try another one"),
        ("jetson-xavier-nx", "initrd-flash", "write", "try another one"),
        ("jetson-orin-nano", "initrd-flash", "usb", "recovery mode again"),
        ("jetson-nano", "doflash.sh", "eeprom", "another cable"),
        ("jetson-orin-nano", "initrd-flash", "usb-write", "not the fault of this machine's tools"),
        ("jetson-orin-nano", "initrd-flash", "usb-write", "a port of another USB controller"),
        ("jetson-orin-nano", "initrd-flash", "usb-write", "/sys/module/usbcore/parameters/autosuspend"),
    ],
)
def test_a_failed_script_is_told_with_what_to_do(place: Place, board: str, method: str, fails: str, words: str) -> None:
    image = make(place.folder / "image", BUILDS[board], place.folder / "sys", fails=fails)
    place.plug("1-2", BUILDS[board].product)
    result = place.flash(board, "--image", image, "--yes", "--method", method, "--json")
    assert (result.code, result.json["ok"]) == (1, False)
    assert words in result.json["error"]
    (kept,) = result.left  # for its logs
    assert f"logs: {place.tmp / kept}" in result.stderr


def test_the_unpacked_archive_is_kept_where_that_is_wanted(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    place.plug("1-2", ORIN.product)
    assert "rm -rf" not in place.flash(ORIN.board, "--image", image, "--keep", "--dry-run").stdout
    result = place.flash(ORIN.board, "--image", image, "--yes", "--keep")
    assert result.code == 0, result.stderr
    (kept,) = result.left
    assert f"the unpacked archive and its logs: {place.tmp / kept}\n" in result.stderr
    assert (place.tmp / kept / "bsp_version").is_file()


def test_ctrl_c_ends_it_and_keeps_the_logs(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys", fails="hang")
    place.plug("1-2", ORIN.product)
    command: list[str | Path] = [TOP / "scripts/flash", ORIN.board, "--image", image, "--yes"]
    with subprocess.Popen(
        command, env=place.environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=in_foreground,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = next(line for line in process.stderr if "Step 4" in line)
        os.killpg(process.pid, signal.SIGINT)
        said += process.stderr.read()
        assert process.wait() == 130
    (kept,) = place.tmp.iterdir()
    assert f"logs: {kept}" in said
    assert "interrupted" in said


@pytest.mark.parametrize(("answer", "code"), [("yes\n", 0), ("y\n", 77), ("\n", 77)])
def test_a_terminal_is_asked(place: Place, answer: str, code: int) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    place.plug("1-2", ORIN.product)
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, answer.encode())
        result = place.flash(ORIN.board, "--image", image, stdin=terminal)
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert (result.code, len(called(image))) == (code, 0 if code else 1), result.stderr
    assert "This overwrites the storage of 0955:7523 at 1-2" in result.stderr
    assert result.left == []


def test_without_a_terminal_it_wants_yes(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    place.plug("1-2", ORIN.product)
    result = place.flash(ORIN.board, "--image", image)
    assert (result.code, called(image)) == (2, [])
    assert "--yes" in result.stderr


def test_the_dry_run_prints_each_step_and_writes_nothing(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    place.plug("1-2", ORIN.product)
    before = {path: path.stat().st_mtime_ns for path in place.folder.rglob("*")}
    result = place.flash(ORIN.board, "--image", image, "--dry-run")
    assert result.code == 0, result.stderr
    assert {path: path.stat().st_mtime_ns for path in place.folder.rglob("*")} == before
    for words in (f"tar -xzf {image}", "./initrd-flash --usb-instance 1-2", 'rm -rf "$DIR"', "nothing was written"):
        assert words in result.stdout


def test_the_steps_of_the_dry_run_do_what_the_command_does(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    place.plug("1-2", ORIN.product)
    steps = place.flash(ORIN.board, "--image", image, "--dry-run", "--json").json["steps"]
    shell = "\n".join(step["command"] for step in steps)
    done = subprocess.run(["bash", "-euc", shell], env=place.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    place.flash(ORIN.board, "--image", image, "--yes")
    by_hand, by_command = called(image)
    assert by_hand == by_command
    assert list(place.tmp.iterdir()) == []


def as_user(place: Place) -> tuple[str | Path, ...]:
    """Run what follows as an ordinary user who may sudo, with the real sudo, in a mount namespace of its own."""
    if os.geteuid():
        pytest.skip("an ordinary user beside root: run as root")
    need("sudo", "setpriv", "unshare")
    if any(not folder.stat().st_mode & 0o001 for folder in [TOP, *TOP.parents]):
        pytest.skip("a checkout that other users can read: clone it outside of root's home")
    script = place.folder / "as-user"
    script.write_text(
        "set -eu\nmount -t tmpfs -o mode=755 tmpfs /etc/sudoers.d\n"
        "echo 'nobody ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/test\nchmod 440 /etc/sudoers.d/test\n"
        'exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all -- "$@"\n'
    )
    prefix = ("unshare", "--mount", "--propagation", "private", "sh", script)
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("mount namespaces: not allowed here")
    return prefix


def test_an_ordinary_user_becomes_root_for_the_one_step(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys", fails="board")
    place.plug("1-2", ORIN.product)
    result = place.flash(ORIN.board, "--image", image, "--yes", "--json", prefix=as_user(place))
    assert result.code == 1, result.stderr  # it fails at the end, to leave its folder
    assert called(image)[0]["uid"] == 0
    (kept,) = result.left
    owners = {path.lstat().st_uid for path in [place.tmp / kept, *(place.tmp / kept).rglob("*")]}
    assert owners == {65534}, "root's files are not given back"
    assert any(path.name.startswith("device-logs-") for path in (place.tmp / kept).iterdir())


def test_an_ordinary_user_is_told_of_root_before(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    place.plug("1-2", ORIN.product)
    result = place.flash(ORIN.board, "--image", image, "--dry-run", prefix=as_user(place))
    assert result.code == 0, result.stderr
    assert ", as root\n" in result.stdout
    assert "sudo -- " in result.stdout
    place.variables["PATH"] = place.path_without("sudo")
    without = place.flash(ORIN.board, "--image", image, "--dry-run", prefix=as_user(place))
    assert without.code == 69
    assert "sudo" in without.stderr


@pytest.mark.parametrize(
    ("uid", "method", "udev_rule", "asks"),
    [(1000, "doflash.sh", True, False), (1000, "doflash.sh", False, True), (1000, "initrd-flash", True, True),
     (0, "doflash.sh", False, False), (0, "initrd-flash", True, False)],
)
def test_a_udev_rule_spares_doflash_root(
    place: Place, monkeypatch: pytest.MonkeyPatch, uid: int, method: str, udev_rule: bool, asks: bool
) -> None:
    """initrd-flash also writes the drive that the board then offers, which needs root all the same."""
    build = BUILDS["jetson-nano"]
    image = make(place.folder / "image", build, place.folder / "sys")
    place.plug("1-2", build.product)
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(device, "writable", lambda path: udev_rule and path == Path("/dev/bus/usb/001/007"))
    job = JetsonJob(parse(["jetson-nano", "--image", str(image), "--method", method]))
    title, command = job.plan()[1]
    assert ("sudo -- " in command, title.endswith(", as root")) == (asks, asks)


@pytest.mark.parametrize(
    "arguments",
    [("jetson-nano", "--device", "/dev/null", "--usb-instance=1-2"),
     ("jetson-nano", "--device", "/dev/null", "--boot-firmware-only"), ("x86-64", "--method=doflash.sh")],
)  # fmt: skip
def test_options_for_usb_do_not_go_with_a_device(place: Place, arguments: tuple[str, ...]) -> None:
    result = place.flash(*arguments, "--yes")
    assert result.code == 2
    assert f"{arguments[-1].partition('=')[0]} is for flashing over USB" in result.stderr


def test_an_unknown_board(place: Place) -> None:
    result = place.flash("jetson-tx1", "--yes")
    assert result.code == 2
    assert "jetson-orin-nano" in result.stderr
