# SPDX-License-Identifier: MIT
"""Run a command, and let nothing that it starts outlive it or its owner, daemons included.

It is a program, for `common.process`: reaper.py DESCRIPTOR COMMAND... It ends with the command's status. The descriptor
is a pipe's, whose other end the owner holds: when that closes, because the owner wants it or has ended in whatever way,
all is killed. A daemon leaves its process group and session, but its orphans fall to the nearest child subreaper
(prctl(2), PR_SET_CHILD_SUBREAPER), which this process is. That takes no privilege, as a PID namespace would.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _children() -> list[int]:
    """The processes whose parent this one is: proc(5), /proc/pid/stat, field 4."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(fields[1]) == os.getpid():
                    found.append(int(entry.name))
    return found


def _kill_all() -> None:
    """Kill every descendant. The children of a killed one become ours, so it takes some rounds."""
    while children := _children():
        for pid in children:
            with contextlib.suppress(OSError):  # not ours to kill: the wait is for its own end
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.wait()


def main(owner: int, command: list[str]) -> int:
    """Run it; its status, as a shell has it. ``owner``: the pipe's descriptor."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.set_inheritable(owner, False)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    # An interrupt is for the owner to act on: it closes the pipe.
    for number in (*_SIGNALS, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    try:
        process = subprocess.Popen(command, close_fds=False)
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 127
    try:
        while process.poll() is None:
            ready, _, _ = select.select([owner, wake], [], [])
            if owner in ready:
                break
            os.read(wake, 4096)
            _reap_orphans(process.pid)
    finally:
        _kill_all()
    status = process.wait()
    return status if status >= 0 else 128 - status


def _reap_orphans(but: int) -> None:
    """Collect the ended children, save the one that the caller waits for."""
    for pid in _children():
        if pid != but:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
