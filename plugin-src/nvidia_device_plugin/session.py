# SPDX-License-Identifier: MIT
"""Serving one configuration: keep the plugin's socket bound and the kubelet of the moment informed.

Nothing here reacts to what an event says. Every event, and every tick of a pending retry, leads to the
same question: is the socket at its path still ours, and does the kubelet that is there now know us?
So no order of a kubelet's deleting, binding and listening can leave the plugin unregistered.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from asyncinotify import Inotify, Mask

from nvidia_device_plugin import kubelet
from nvidia_device_plugin.config import RESOURCE, Settings
from nvidia_device_plugin.device import Platform
from nvidia_device_plugin.endpoint import NAME, Endpoint
from nvidia_device_plugin.errors import SocketError
from nvidia_device_plugin.service import DevicePluginService
from nvidia_device_plugin.systemd import Notifier

_RETRY_SECONDS = 0.02
# A socket that nobody answers at for so long was left behind; the next kubelet replaces it, which wakes us.
_FAST_RETRIES = 100
_SLOW_RETRY_SECONDS = 1.0
_LONGEST_REFUSAL_SECONDS = 30.0


class Session:
    """One life of the plugin's server, from discovery's result to a reload or the end."""

    def __init__(self, settings: Settings, platform: Platform, notifier: Notifier) -> None:
        self._settings = settings
        self._notifier = notifier
        self._endpoint = Endpoint(settings.socket_dir, DevicePluginService(platform, settings))
        self._platform = platform
        self._known_to: kubelet.Identity | None = None
        self._tried: kubelet.Identity | None = None
        self._retries = 0
        self._refusal_seconds = _RETRY_SECONDS
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled. Raises SocketError where that is or becomes impossible."""
        folder = self._settings.socket_dir
        try:
            # As the kubelet makes it; a plugin that starts first finds no folder yet.
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            watcher = _watch(folder)
        except OSError as error:
            raise SocketError(f"expected the folder {folder} to exist or to be made, found: {error.strerror}; "
                              f"check --kubelet-socket") from error
        with watcher:
            reader = asyncio.create_task(self._read(watcher))
            try:
                while True:
                    self._changed.clear()
                    delay = await self._reconcile()
                    await self._wait(delay, reader)
            finally:
                reader.cancel()
                await self._endpoint.stop()

    async def _reconcile(self) -> float | None:
        """Bring about what must be; returns the seconds after which to try again, None for not at all."""
        if not self._endpoint.is_bound():
            if self._known_to:
                logging.info("%s was removed, serving anew", self._endpoint.path)
            self._known_to = None
            await self._endpoint.start()
        socket = self._settings.kubelet_socket
        if socket is None:
            self._notifier.ready(f"serving {self._devices()}, registration is off")
            return None
        current = kubelet.identity(socket)
        if current is None:
            self._known_to = None
            self._wait_for_kubelet(f"waiting for a kubelet at {socket}")
            return None
        if current == self._known_to:
            return None
        if current != self._tried:
            self._tried, self._retries, self._refusal_seconds = current, 0, _RETRY_SECONDS
        return await self._register(socket, current)

    async def _register(self, socket: Path, current: kubelet.Identity) -> float | None:
        try:
            if await kubelet.listens(socket) and await kubelet.register(socket, NAME):
                logging.info("Registered device plugin for '%s' with Kubelet", RESOURCE)
                self._notifier.ready(f"registered {self._devices()} with the kubelet")
                self._known_to, self._tried = current, None
                return None
        except kubelet.RegistrationRefused as error:
            self._refusal_seconds = min(max(2 * self._refusal_seconds, 1.0), _LONGEST_REFUSAL_SECONDS)
            logging.error("expected the kubelet at %s to register '%s', it answered %s; trying again in %.0f s",
                          socket, RESOURCE, error, self._refusal_seconds)
            self._notifier.ready(f"serving {self._devices()}, the kubelet refused to register it: {error}")
            return self._refusal_seconds
        self._retries += 1
        if self._retries < _FAST_RETRIES:
            return _RETRY_SECONDS
        self._wait_for_kubelet(f"waiting for a kubelet: nobody answers at {socket}")
        return _SLOW_RETRY_SECONDS

    def _wait_for_kubelet(self, reason: str) -> None:
        self._notifier.ready(f"serving {self._devices()}, {reason}")

    def _devices(self) -> str:
        return f"{len(self._platform.devices)} {RESOURCE}"

    async def _read(self, watcher: Inotify) -> None:
        async for event in watcher:
            if event.mask & (Mask.IGNORED | Mask.DELETE_SELF | Mask.MOVE_SELF):
                raise SocketError(f"expected the folder {self._settings.socket_dir} to stay, it was removed; "
                                  f"start the plugin again")
            self._changed.set()

    async def _wait(self, delay: float | None, reader: asyncio.Task[None]) -> None:
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({changed, reader}, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        if reader.done():
            reader.result()


def _watch(folder: Path) -> Inotify:
    logging.info("Starting FS watcher for %s", folder)
    watcher = Inotify()
    try:
        watcher.add_watch(folder, Mask.CREATE | Mask.DELETE | Mask.MOVED_TO | Mask.MOVED_FROM | Mask.ATTRIB
                          | Mask.DELETE_SELF | Mask.MOVE_SELF)
    except BaseException:
        watcher.close()
        raise
    return watcher
