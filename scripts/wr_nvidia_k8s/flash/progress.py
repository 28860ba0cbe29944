# SPDX-License-Identifier: MIT
"""Progress of long file operations, on stderr."""

from __future__ import annotations

import sys
from io import FileIO
from typing import IO

SMALL = 64 << 20  # bytes; read within a second or so: not worth a line


class Progress:
    """Counts bytes of ``total``. A terminal sees each percent in place, anything else a line every ten."""

    def __init__(self, doing: str, total: int) -> None:
        self._doing = doing
        self._total = total
        self._done = 0
        self._shown = -1
        self._terminal = sys.stderr.isatty()

    def add(self, count: int) -> None:
        self._done += count
        if self._total < SMALL:
            return
        percent = min(100, self._done * 100 // self._total)
        step = percent // (1 if self._terminal else 10)
        if step == self._shown:
            return
        self._shown = step
        if self._terminal:
            print(f"\r{self._doing} {percent} %", end="\n" if percent == 100 else "", file=sys.stderr, flush=True)
        else:
            print(f"{self._doing} {percent} %", file=sys.stderr, flush=True)


class Watched:
    """A stream for reading that tells a `Progress` how far the file behind it has been read."""

    def __init__(self, stream: IO[bytes] | FileIO, file: FileIO, progress: Progress) -> None:
        self._stream = stream
        self._file = file
        self._progress = progress
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        done = self._file.tell()
        self._progress.add(done - self._read)
        self._read = done
        return data or b""
