# SPDX-License-Identifier: MIT
"""What `commands.flash` asks of a way to flash: checks, a plan, and the writing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from wr_nvidia_k8s.flash.error import FlashError, HostError, ImageError, ImageMissing, Problems, Refused, UsageError

# Of several problems, the one that counts: what another run needs longest to mend stands first.
_RANK = [UsageError.exit_code, ImageMissing.exit_code, ImageError.exit_code, HostError.exit_code, Refused.exit_code]


class Checks:
    """Each check in a ``with`` of its own. The first problem ends it, or, to report ``all``, the next check follows."""

    def __init__(self, all: bool) -> None:
        self._all = all
        self._problems: list[FlashError] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if not self._all or not isinstance(error, FlashError):
            return False
        self._problems.append(error)
        return True

    def done(self) -> None:
        """Raise what was found."""
        ranked = sorted(self._problems, key=lambda error: [*_RANK, error.exit_code].index(error.exit_code))
        if ranked:
            raise ranked[0] if len(ranked) == 1 else Problems(ranked)


class Job(ABC):
    """One image for one target, with every check passed.

    ``target`` says what is going to be overwritten, ``content`` what is on it now, as far as this machine can see,
    ``checksum`` which file's SHA-256 the image was compared with, ``facts`` go into --json, ``afterwards`` is what the
    user does next.
    """

    image: Path
    target: str
    content: list[str]
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
