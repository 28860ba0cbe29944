# SPDX-License-Identifier: MIT
"""The one part of scripts/flash that runs as root: take the device, run the archive's script, give its files back.

It stands alone (only the standard library, started by its path) because sudo hands on neither PYTHONPATH nor a
virtual environment.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys


def claim(device: str) -> None:
    """Raise OSError (EBUSY) if the kernel or anything else uses the device or a part of it.

    Source: open(2) on O_EXCL without O_CREAT for block devices. It also sees what lsblk cannot: members of a ZFS pool
    or of a btrfs on several disks, and mounts in other mount namespaces.
    """
    os.close(os.open(device, os.O_RDONLY | os.O_EXCL))


def give_back(folder: str, uid: int, gid: int) -> None:
    """Make ``uid`` the owner of everything in ``folder``, so that an ordinary user can read the logs and clean up."""
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            os.chown(os.path.join(place, name), uid, gid, follow_symlinks=False)  # noqa: PTH118


def main() -> int:
    parser = argparse.ArgumentParser(prog="flash-as-root", description=__doc__)
    parser.add_argument("--path", required=True, help="the command's PATH")
    parser.add_argument("--device", help="the block device that it writes")
    parser.add_argument("--owner", help="UID:GID to own all in the current folder afterwards")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if options.device:
        try:
            claim(options.device)
        except OSError as error:
            print(f"ERR: {options.device} is in use: {error.strerror}; nothing was written", file=sys.stderr)
            return os.EX_NOPERM
    os.environ["PATH"] = options.path
    # Ctrl-C reaches the command as well; it ends first, and its files are still given back.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        status = subprocess.run(command).returncode
    finally:
        if options.owner and not os.geteuid():
            uid, gid = options.owner.split(":")
            give_back(".", int(uid), int(gid))
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    sys.exit(main())
