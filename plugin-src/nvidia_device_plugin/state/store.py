# SPDX-License-Identifier: MIT
"""The one snapshot of what is offered. Stages before it publish; those after it read and follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from nvidia_device_plugin.config import Settings
from nvidia_device_plugin.model import Resource


@dataclass(frozen=True)
class Snapshot:
    """What is offered from one moment on, and how. generation: counts the snapshots, from 1."""

    generation: int
    settings: Settings
    resources: Mapping[str, Resource]


class Store:
    """Holds the snapshot of the moment. For one event loop."""

    def __init__(self, settings: Settings, resources: Mapping[str, Resource]) -> None:
        self.snapshot = Snapshot(1, settings, resources)
        self._followers: set[asyncio.Event] = set()

    def publish(self, settings: Settings, resources: Mapping[str, Resource]) -> bool:
        """Replace the snapshot and wake everybody who follows; False, and nothing done, where nothing differs."""
        if (settings, resources) == (self.snapshot.settings, self.snapshot.resources):
            return False
        self.snapshot = Snapshot(self.snapshot.generation + 1, settings, resources)
        for event in self._followers:
            event.set()
        return True

    @contextmanager
    def wakes(self, event: asyncio.Event) -> Iterator[None]:
        """While the context lasts, each new snapshot sets the event."""
        self._followers.add(event)
        try:
            yield
        finally:
            self._followers.discard(event)

    async def follow(self, name: str) -> AsyncIterator[Resource]:
        """The resource as it is, then each time that it has changed; ends when it is no longer offered."""
        news, last = asyncio.Event(), None
        with self.wakes(news):
            while (resource := self.snapshot.resources.get(name)) is not None:
                if resource != last:
                    yield resource
                    last = resource
                    continue  # it may have changed meanwhile
                await news.wait()
                news.clear()
