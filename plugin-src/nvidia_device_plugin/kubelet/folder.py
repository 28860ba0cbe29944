# SPDX-License-Identifier: MIT
"""The kubelet's plugin folder: made where it is missing, and watched for whatever happens in it."""

from __future__ import annotations

import asyncio
import logging
import stat
from pathlib import Path

from asyncinotify import Inotify, Mask

from nvidia_device_plugin.errors import SocketError
from nvidia_device_plugin.kubelet.endpoint import advice

_EVENTS = (Mask.CREATE | Mask.DELETE | Mask.MOVED_TO | Mask.MOVED_FROM | Mask.ATTRIB | Mask.DELETE_SELF
           | Mask.MOVE_SELF)
# Without an event: for what no event tells, such as a file system mounted over the folder.
_TICK_SECONDS = 30.0
_POLL_SECONDS = 0.25

Identity = tuple[int, int, int]


def identity(path: Path) -> Identity | None:
    """What tells one server's socket from its successor's; None while there is none.

    A file system may give the next socket the same inode, but not the same time: a socket's modification time is
    that of its bind(), which no chmod or relabel changes.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_mtime_ns) if stat.S_ISSOCK(status.st_mode) else None


class Folder:
    """Sets `changed` at each change in the folder; what has changed is not said, for no event is trusted."""

    def __init__(self, path: Path, changed: asyncio.Event) -> None:
        self.path = path
        self._changed = changed
        self._identity: tuple[int, int] | None = None
        self._is_polling = False
        self._watcher: Inotify | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def tick_seconds(self) -> float:
        """How long to wait at most before looking at the folder again."""
        return _TICK_SECONDS if self._watcher else _POLL_SECONDS

    def ensure(self) -> None:
        """Make the folder where there is none, and watch it anew where the path has come to mean another one.

        Raises SocketError where it cannot be made.
        """
        try:
            # As the kubelet makes it; a plugin that starts first finds no folder yet.
            self.path.mkdir(mode=0o750, parents=True, exist_ok=True)
            status = self.path.stat()
        except OSError as error:
            raise SocketError(f"expected the folder {self.path} to exist or to be made, found: {error.strerror}; "
                              f"check --kubelet-socket, or {advice(self.path, error)}") from error
        identity = status.st_dev, status.st_ino
        if identity != self._identity:
            if self._identity:
                logging.warning("%s has become another folder, serving there", self.path)
            logging.info("Starting FS watcher for %s", self.path)
            self.close()
            self._identity = identity
        if not self._watcher:
            self._watch()

    def sockets(self) -> dict[str, Identity]:
        """What tells each socket in the folder from its successor, by file name."""
        try:
            found = {path.name: identity(path) for path in self.path.iterdir()}
        except OSError:  # it was taken away meanwhile
            return {}
        return {name: which for name, which in found.items() if which}

    def close(self) -> None:
        """Stop watching."""
        if self._reader:
            self._reader.cancel()
        if self._watcher:
            self._watcher.close()
        self._reader = self._watcher = None

    def _watch(self) -> None:
        watcher = None
        try:
            watcher = Inotify()
            watcher.add_watch(self.path, _EVENTS)
        except OSError as error:
            if watcher:
                watcher.close()
            if not self._is_polling:
                logging.warning("expected to watch %s, found: %s; looking at it every %s s until that works. Raise the "
                                "sysctl fs.inotify.max_user_instances or fs.inotify.max_user_watches",
                                self.path, error.strerror or error, _POLL_SECONDS)
            self._is_polling = True
            return
        self._is_polling = False
        self._watcher = watcher
        self._reader = asyncio.create_task(self._read(watcher))

    async def _read(self, watcher: Inotify) -> None:
        async for _event in watcher:
            self._changed.set()
