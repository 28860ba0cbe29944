# SPDX-License-Identifier: MIT
"""How far a long piece of work on a file has come, on stderr."""

from __future__ import annotations

import sys
from typing import BinaryIO

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
    """A file open for reading whose reads a `Progress` counts."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file = file
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._progress.add(len(data))
        return data
