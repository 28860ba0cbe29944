# SPDX-License-Identifier: MIT
"""Put an image onto a board: scripts/flash.

Everything is checked before anything is written, an ordinary user runs all but the one step that needs root, what is
written is the device that was confirmed (`flash.root`), and each way to stop has its exit code (`flash.error`).
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from wr_nvidia_k8s.common.main import run_main
from wr_nvidia_k8s.flash.boards import BOARDS
from wr_nvidia_k8s.flash.error import FlashError, HostError, Interrupted, Refused, UsageError
from wr_nvidia_k8s.flash.jetson import JetsonJob
from wr_nvidia_k8s.flash.job import Job
from wr_nvidia_k8s.flash.tegra import DOFLASH, INITRD_FLASH
from wr_nvidia_k8s.flash.wic import WicJob

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_EPILOG = f"""\
what is written:
  a Jetson's storage, over USB in recovery mode       scripts/flash BOARD
  a Jetson's SD card, in a reader of this machine     scripts/flash BOARD --device /dev/sdX
  and the firmware that boots from such a card        scripts/flash BOARD --boot-firmware-only
  a disk for the x86-64 machine                       scripts/flash x86-64 --device /dev/sdX

boards: {", ".join(BOARDS)}

An image is taken from kas's build directory unless --image names one. Beside it, FILE.sha256 is compared where it is
there. Archives are unpacked below TMPDIR (or /tmp). Nothing is written before every check has passed and you said yes.

--dry-run reports all problems at once, and looks at the image and the tools also where no board is connected; of
several, the exit code is the one that stands first in: 2, 66, 65, 69, 77, 75.

exit codes:
  0    done (or, with --dry-run, nothing stands in the way)
  1    a step failed after writing began: what is on the target is incomplete
  2    the command line
  65   the image is damaged, incomplete or another board's
  66   there is no image
  69   this machine lacks a command, room on the disk or the right processor
  75   the board is not in recovery mode, or several are
  77   the device is refused (mounted, of this system, in use, a partition, too small, read-only, another one than was
       confirmed), or not confirmed, or sudo gave no root: nothing was written
  130  interrupted by Ctrl-C; 129 and 143: by SIGHUP, SIGTERM. The tools that it started are ended first
"""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line; argparse itself ends with 2 where it is wrong."""
    parser = argparse.ArgumentParser(
        prog="scripts/flash", description="Put an image onto a board.", epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("board", metavar="BOARD", choices=BOARDS, help="its name in kas/")
    parser.add_argument("--image", type=Path, metavar="FILE", help="*.tegraflash.tar.gz/.tar.zst/.zip; *.wic[.gz]")
    parser.add_argument("--device", metavar="DEV", help="the SD card or disk to write, as a whole: /dev/sdX")
    parser.add_argument("--usb-instance", metavar="BUS-PORT", help="which board, if several are in recovery mode")
    parser.add_argument("--method", choices=[INITRD_FLASH, DOFLASH], help="the archive's script; the other may help")
    parser.add_argument("--boot-firmware-only", action="store_true", help="only the module's flash memory, over USB")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="check all, print each step, write nothing")
    parser.add_argument("--keep", action="store_true", help="keep the unpacked archive")
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    options = parser.parse_args(arguments)
    usb = [name for name in ("usb_instance", "method", "boot_firmware_only") if getattr(options, name)]
    if usb and (options.device or not BOARDS[options.board].chip):
        parser.error(f"--{usb[0].replace('_', '-')} is for flashing over USB, not for a device of this machine")
    return options


def flash(options: argparse.Namespace) -> Job:
    """Check, ask, write. Raises `FlashError`."""
    if not (options.dry_run or options.yes or sys.stdin.isatty()):
        raise UsageError("expected a terminal to ask on before anything is overwritten, found none: say --yes")
    job = JetsonJob(options) if BOARDS[options.board].chip else WicJob(options)
    say(f"image: {job.image}" + (f" (SHA-256 as in {job.checksum.name})" if job.checksum else ""))
    for line in job.content:
        say(f"will be lost: {line}")
    for note in job.notes:
        say(f"note: {note}")
    if options.dry_run:
        return job
    if not options.yes:
        confirm(job.target)
    job.write()
    say(f"done: {job.afterwards}")
    return job


def confirm(target: str) -> None:
    """Ask on the terminal. Raises `Refused` unless the answer is yes."""
    print(f"This overwrites {target}. Type yes to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise Refused("expected yes; nothing was written")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def interrupt(number: int, _frame: object) -> None:
    """What was started ends, what was unpacked goes. A second signal does not stop that halfway."""
    for each in _ENDS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    result: dict[str, object] = {"board": options.board, "dry_run": options.dry_run}
    started = time.monotonic()
    code: int = 0
    message: str | None = None
    for reason in _ENDS:
        if signal.getsignal(reason) != signal.SIG_IGN:  # nohup(1) has SIGHUP ignored
            signal.signal(reason, interrupt)
    try:
        job = flash(options)
        result |= {"image": str(job.image), "checksum": str(job.checksum) if job.checksum else None, **job.facts}
        result["content"] = job.content
        result["steps"] = [{"title": title, "command": command} for title, command in job.plan()]
        if options.dry_run and not options.json:
            for number, (title, command) in enumerate(job.plan(), 1):
                print(f"{number}. {title}\n   {command}")
            print("dry run: nothing was written")
    except FlashError as error:
        code, message = error.exit_code, str(error)
    except OSError as error:
        code, message = HostError.exit_code, f"{error}; nothing more was done"
    except KeyboardInterrupt as error:
        code = 128 + int(next(iter(error.args), signal.SIGINT))
        written = "what is on the target is incomplete" if isinstance(error, Interrupted) else "nothing was written"
        message = f"interrupted; {written}"
    if message:
        say(f"error: {message}")
    if options.json:
        result |= {"ok": not code, "exit_code": code, "error": message, "seconds": round(time.monotonic() - started, 1)}
        print(json.dumps(result, indent=2))
    return code


if __name__ == "__main__":
    run_main(main)
