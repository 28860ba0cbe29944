# SPDX-License-Identifier: MIT
"""The journal of a virtual machine, read from outside entry by entry as it is written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from wr_nvidia_k8s.common.waiting import within

RECORD = b"\x1e"  # what starts a record of journalctl --output=json-seq (RFC 7464)


@dataclass(frozen=True)
class Entry:
    """One entry; the names of `fields` are those of systemd.journal-fields(7)."""

    fields: dict[str, str]

    @property
    def boot(self) -> str:
        return self.fields.get("_BOOT_ID", "")

    @property
    def message(self) -> str:
        return self.fields.get("MESSAGE", "")

    @property
    def priority(self) -> int:
        """As in syslog(3): 3 and below are errors."""
        return int(self.fields.get("PRIORITY", "6"))

    @property
    def seconds(self) -> float:
        """When the journal got it, in seconds since the kernel started."""
        return int(self.fields["__MONOTONIC_TIMESTAMP"]) / 1e6

    @property
    def pid(self) -> int:
        return int(self.fields.get("_PID", "0"))

    @property
    def identifier(self) -> str:
        return self.fields.get("SYSLOG_IDENTIFIER", "")

    def is_from(self, unit: str) -> bool:
        """Whether a process of the unit wrote it."""
        return self.fields.get("_SYSTEMD_UNIT") == unit

    def is_about(self, unit: str) -> bool:
        """Whether the unit or, about it, systemd wrote it."""
        return self.is_from(unit) or self.fields.get("UNIT") == unit

    def __str__(self) -> str:
        return f"[{self.seconds:9.3f}] {self.identifier}[{self.pid}] <{self.priority}>: {self.message}"


@dataclass
class Journal:
    """The entries received so far. `ended`: why no more will come, '' as long as more may."""

    entries: list[Entry] = field(default_factory=list)
    ended: str = ""
    _rest: bytes = b""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def feed(self, data: bytes) -> None:
        """Take what came in; a record that a reboot cut off is left out."""
        *records, self._rest = (self._rest + data).split(RECORD)
        # The last record has no successor to end it, but a line feed.
        if self._rest.endswith(b"\n"):
            records.append(self._rest)
            self._rest = b""
        async with self._changed:
            self.entries.extend(entry for record in records for entry in _parse(record))
            self._changed.notify_all()

    async def end(self, reason: str) -> None:
        async with self._changed:
            self.ended = reason
            self._changed.notify_all()

    async def wait(self, condition: Callable[[Entry], bool], since: int, seconds: float) -> int:
        """The index of the first entry from `since` on that meets the condition.

        Raises asyncio.TimeoutError after `seconds`, and EOFError with the reason where none can come any more.
        """
        async def found() -> int:
            at = since
            async with self._changed:
                while True:
                    while at < len(self.entries):
                        if condition(self.entries[at]):
                            return at
                        at += 1
                    if self.ended:
                        raise EOFError(self.ended)
                    await self._changed.wait()

        return await within(seconds, found())


def _parse(record: bytes) -> Iterator[Entry]:
    try:
        fields = json.loads(record)
    except ValueError:
        return
    # A field that occurs twice is a list, one that is no text a list of numbers, one that is too long null.
    yield Entry({name: value for name, value in fields.items() if isinstance(value, str)})
