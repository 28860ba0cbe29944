# SPDX-License-Identifier: MIT
"""Folders for as long as a piece of work takes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wr_nvidia_k8s.common.cache import alone
from wr_nvidia_k8s.common.errors import HostError, UserError

LONGEST_SOCKET = 107
"""Bytes that the path of a socket may have: unix(7), sun_path without its end."""
_OWNER = ".owner"


@contextmanager
def owned(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder in ``parent``, which is made. Those that a killed process has left there are removed first.

    A folder's owner holds a lock in it, which the kernel drops with the process: unlike a process's number, that holds
    between PID namespaces, and for a number that is in use again. After a `UserError` the folder stays until another
    one is made, as the text may name a log in it.
    """
    with contextlib.ExitStack() as owner:
        with alone(parent / ".lock", f"process that makes a folder in {parent}"):
            for folder in parent.iterdir():
                if folder.is_dir() and not _has_owner(folder):
                    shutil.rmtree(folder, ignore_errors=True)
            made = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            lock = owner.enter_context((made / _OWNER).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield made
        except UserError:
            raise
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        shutil.rmtree(made)


def _has_owner(folder: Path) -> bool:
    try:
        with (folder / _OWNER).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def temporary(prefix: str, longest: int) -> Iterator[Path]:
    """A folder in TMPDIR, removed afterwards, in which programs run and sockets are bound.

    ``longest``: bytes that a socket's path may have below TMPDIR. Raises HostError, saying what is wrong with TMPDIR,
    where that cannot be.
    """
    place = os.environ.get("TMPDIR") or "/tmp"
    advice = "set TMPDIR to a folder that can be used, such as /tmp"
    if len(os.fsencode(place)) + longest > LONGEST_SOCKET:
        raise HostError(
            f"TMPDIR: expected a path of at most {LONGEST_SOCKET - longest} bytes, because a socket's path below it "
            f"has at most {LONGEST_SOCKET}, found {len(os.fsencode(place))}: {place}; {advice}"
        )
    try:
        if os.statvfs(place).f_flag & os.ST_NOEXEC:
            raise HostError(f"TMPDIR: expected that programs may run in {place}, it is mounted noexec; {advice}")
        folder = tempfile.TemporaryDirectory(prefix=prefix, dir=place)
    except OSError as error:
        raise HostError(f"TMPDIR: expected a writable folder, found {place}: {error.strerror}; {advice}") from None
    with folder as name:
        yield Path(name)
