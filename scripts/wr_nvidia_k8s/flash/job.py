# SPDX-License-Identifier: MIT
"""What `flash.main` asks of a way to flash."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path


class Job(ABC):
    """One image for one target, with every check passed.

    ``target`` says what is going to be overwritten, ``checksum`` which file's SHA-256 the image was compared with,
    ``facts`` go into --json, ``afterwards`` is what the user does next.
    """

    image: Path
    target: str
    checksum: Path | None
    facts: dict[str, str | None]
    notes: list[str]
    afterwards: str

    @abstractmethod
    def plan(self) -> list[tuple[str, str]]:
        """Each step's title and its shell command."""

    @abstractmethod
    def write(self) -> None:
        """Do it. Raises `FlashError`."""
