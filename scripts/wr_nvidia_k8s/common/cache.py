# SPDX-License-Identifier: MIT
"""Cached folders, each named after a hash of everything that it was made from; and locks for shared state."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

KEEP = 6


def root() -> Path:
    """The project's cache folder, as in scripts/lib.sh."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wr-nvidia-k8s"


def say(text: str) -> None:
    """Report progress on stderr."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def alone(lock: Path, work: str) -> Iterator[None]:
    """Hold the lock file ``lock``, creating it; while another process has it for ``work``, say so and wait."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another {work}")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class Cached:
    """A folder `kind`/KEY. KEY is a hash of `inputs`: of the content of files, and of the text of everything else."""

    def __init__(self, kind: str, *inputs: str | Path) -> None:
        digest = hashlib.sha256()
        for item in inputs:
            digest.update(item.read_bytes() if isinstance(item, Path) else item.encode())
            digest.update(b"\0")
        self.parent = root() / kind
        self.path = self.parent / digest.hexdigest()[:16]

    @property
    def exists(self) -> bool:
        return self.path.is_dir()

    def get(self, make: Callable[[Path], None], *, refresh: bool = False) -> Path:
        """Return the folder, filled by `make` if it does not exist or is to be refreshed.

        It appears whole or not at all; two processes that want it wait for each other. Older ones are removed.
        """
        with alone(self.parent / ".lock", f"process that makes {self.parent}"):
            if refresh or not self.exists:
                new = self.parent / f".new-{self.path.name}"
                shutil.rmtree(new, ignore_errors=True)
                new.mkdir()
                make(new)
                shutil.rmtree(self.path, ignore_errors=True)
                new.rename(self.path)
                self._prune()
            os.utime(self.path)
        return self.path

    def _prune(self) -> None:
        folders = [path for path in self.parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
        for path in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)[KEEP:]:
            shutil.rmtree(path, ignore_errors=True)
