# SPDX-License-Identifier: MIT
"""Runs the command that writes: holds the device for it, ends it when scripts/flash ends, gives its files back.

The one part of scripts/flash that runs as root where root is needed. It stands alone (only the standard library,
started by its path) because sudo hands on neither PYTHONPATH nor a virtual environment.

With --wait its standard input is a socket to scripts/flash: it answers "ready", or why not; runs the command after a
line; and ends the command when the other end closes, for whatever reason: an ordinary user may not signal what sudo
started.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

# In the command: the held device, which is then its standard input.
HELD = "/dev/fd/0"
READY = b"ready\n"
_GRACE = 10.0  # seconds between one signal and the next harder one


def identity(device: str | int) -> dict[str, str]:
    """What tells the block device at a path or file descriptor from any other that comes by its name.

    Source: Documentation/ABI/stable/sysfs-block of the Linux kernel (diskseq, since 5.15, counts up with each disk,
    each medium in a reader and each file of a loop device); serial or wwid is an attribute of NVMe, MMC, SCSI and USB
    devices.
    """
    number = os.stat(device).st_rdev  # noqa: PTH116 -- pathlib takes no file descriptor
    name = f"{os.major(number)}:{os.minor(number)}"
    sysfs = Path(f"/sys/dev/block/{name}").resolve()
    return {
        "number": name,
        "sysfs": str(sysfs),
        "sectors": _read(sysfs / "size"),
        "serial": serial(sysfs),
        "file": _read(sysfs / "loop/backing_file"),
        "diskseq": _read(sysfs / "diskseq"),
    }


def serial(sysfs: Path) -> str:
    """The serial number of a disk, or of what it is in: a USB stick's is some folders above the disk's."""
    found = (_read(folder / file) for folder in (sysfs, *sysfs.parents) for file in ("serial", "wwid"))
    return next(filter(None, found), "")


def difference(expected: dict[str, str], found: dict[str, str]) -> str:
    """In words, what makes ``found`` another device; nothing where it is the same."""
    return ", ".join(
        f"{name} {expected[name] or 'none'} before, {found[name] or 'none'} now"
        for name in expected if expected[name] != found[name]
    )  # fmt: skip


def claim(device: str) -> int:
    """A file descriptor that holds the device exclusively. OSError (EBUSY) if anything else uses it or a part of it.

    Source: open(2) on O_EXCL without O_CREAT for block devices. It also sees what lsblk cannot: members of a ZFS pool
    or of a btrfs on several disks, and mounts in other mount namespaces.
    """
    return os.open(device, os.O_RDONLY | os.O_EXCL)


def give_back(folder: str, uid: int, gid: int) -> None:
    """Make ``uid`` the owner of everything in ``folder``, so that an ordinary user can read the logs and clean up."""
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            os.chown(os.path.join(place, name), uid, gid, follow_symlinks=False)  # noqa: PTH118


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


class _Refused(Exception):
    """Nothing was written."""


class _Device:
    """The device, open from the check to the end of the writing.

    While a file descriptor is open on it, the kernel gives neither its number nor its name to another disk: what opens
    it by either gets this one, or an error. Only the medium in a reader can still change; `check` notices.
    """

    def __init__(self, path: str, expected: dict[str, str]) -> None:
        self._path, self._expected = path, expected
        try:
            self._claimed = claim(path)
            self.held = os.open(f"/proc/self/fd/{self._claimed}", os.O_RDONLY)
        except OSError as error:
            raise _Refused(
                f"expected a device that nothing uses, {path} was taken or is gone: {error.strerror}; lsblk says more"
            ) from None
        if changed := self.changed():
            raise _Refused(f"expected the device that was confirmed, {path} is another one by now ({changed})")

    def changed(self) -> str:
        return difference(self._expected, identity(self.held))

    def release(self) -> None:
        """Let the command take it: bmaptool wants it exclusively, and so does the kernel for a new partition table."""
        os.close(self._claimed)


def _run(command: list[str], device: _Device | None, stops: list[int]) -> int:
    """The command's exit status; ended with all its children when one of ``stops`` becomes readable."""
    held = device.held if device and HELD in command else subprocess.DEVNULL
    # A session of its own: a group that can be ended as a whole.
    with subprocess.Popen(command, stdin=held, start_new_session=True) as process:
        ended = os.pidfd_open(process.pid)
        readable, _, _ = select.select([ended, *stops], [], [])
        os.close(ended)
        if ended in readable:
            return process.wait()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):  # as Ctrl-C first: bmaptool cleans up then
            if _ends(process, number):
                break
        return process.wait()


def _ends(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Send a signal to the process and its children; whether all of them end soon."""
    deadline = time.monotonic() + _GRACE
    try:
        os.killpg(process.pid, number)
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.05)
    except ProcessLookupError:
        return True
    return False


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="flash-as-root", description=__doc__)
    parser.add_argument("--path", required=True, help="the command's PATH")
    parser.add_argument("--device", help="the block device that it writes")
    parser.add_argument("--identity", type=json.loads, help="which one that is, as JSON (`identity`)")
    parser.add_argument("--owner", help="UID:GID to own all in the current folder afterwards")
    parser.add_argument("--wait", action="store_true", help="standard input is a socket to scripts/flash")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args()


def main() -> int:
    options = _parse()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    os.environ["PATH"] = options.path
    told, tell = os.pipe()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup(1) has SIGHUP ignored
            signal.signal(number, lambda *_: os.write(tell, b"."))
    try:
        device = _Device(options.device, options.identity) if options.device else None
    except _Refused as error:
        os.write(0 if options.wait else 2, f"{error}; nothing was written\n".encode())
        return os.EX_NOPERM
    stops = [told]
    if options.wait:
        stops.append(0)
        os.write(0, READY)
        ready, _, _ = select.select(stops, [], [])
        if told in ready or not os.read(0, 1):
            return os.EX_TEMPFAIL
    if device:
        device.release()
    try:
        status = _run(command, device, stops)
    finally:
        if options.owner and not os.geteuid():
            uid, gid = options.owner.split(":")
            give_back(".", int(uid), int(gid))
    if device and (changed := device.changed()):
        print(f"ERR: {options.device} was exchanged or taken out while it was written ({changed})", file=sys.stderr)
        return status or os.EX_IOERR
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    sys.exit(main())
