# SPDX-License-Identifier: MIT
"""The set of served resources: what the store offers is served and registered, and nothing else.

Every event in the folder, every new snapshot and every tick leads to the same comparison of what is wanted with what
is served. Registrations go on side by side: a kubelet that refuses one resource delays no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nvidia_device_plugin.kubelet.endpoint import Endpoint, OccupiedError
from nvidia_device_plugin.kubelet.folder import Folder, Identity
from nvidia_device_plugin.kubelet.registrar import Registrar
from nvidia_device_plugin.kubelet.service import DevicePluginService
from nvidia_device_plugin.state.store import Store
from nvidia_device_plugin.text import clip, listed
from nvidia_device_plugin.waiting import happens

_AGAIN_SECONDS = 0.02
_OCCUPIED_SECONDS = 1.0


@dataclass
class _Served:
    """One resource: its socket, and who announces it; nobody where registration is off."""

    endpoint: Endpoint
    registrar: Registrar | None
    task: asyncio.Task[None] | None
    obstacle: str = ""

    def is_in_the_way(self, error: OccupiedError) -> bool:
        """Whether somebody else has taken the path of what was served, which may pass; not so at the start."""
        if not self.endpoint.generation:
            return False
        if not self.obstacle:
            logging.error("%s; waiting until it is gone", error)
        self.obstacle = f"another plugin serves at {self.endpoint.path}"
        return True

    async def stop(self) -> None:
        if self.task:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.endpoint.stop()


class Supervisor:
    """Serves what the store offers. on_status: called with one line at each change of how that goes."""

    def __init__(self, store: Store, on_status: Callable[[str], None]) -> None:
        self._store = store
        self._on_status = on_status
        self._changed = asyncio.Event()
        self._served: dict[str, _Served] = {}
        self._folder: Folder | None = None
        self._kubelet: Path | None = None
        self._others: dict[str, Identity] = {}

    async def run(self) -> None:
        """Serve until cancelled. Raises SocketError where that is or becomes impossible."""
        try:
            with self._store.wakes(self._changed):
                while True:
                    self._changed.clear()
                    delay = await self._reconcile()
                    await happens(self._changed, delay)
        finally:
            await self._stop_all()

    async def _reconcile(self) -> float:
        """Bring about what must be; returns the seconds after which to look again."""
        settings, resources = self._store.snapshot.settings, self._store.snapshot.resources
        if not self._folder or (self._folder.path, self._kubelet) != (settings.socket_dir, settings.kubelet_socket):
            await self._stop_all()
            self._folder, self._kubelet = Folder(settings.socket_dir, self._changed), settings.kubelet_socket
        for name in [name for name in self._served if name not in resources]:
            await self._served.pop(name).stop()
        if resources:
            self._folder.ensure()
            self._look_at_others()
        delay = self._folder.tick_seconds
        for name, resource in resources.items():
            if name not in self._served:
                self._served[name] = self._serve(name, settings.socket_dir / resource.socket_name)
            served = self._served[name]
            try:
                await served.endpoint.ensure()
                served.obstacle = ""
            except FileNotFoundError:
                return _AGAIN_SECONDS  # the folder was taken away meanwhile
            except OccupiedError as error:
                if not served.is_in_the_way(error):
                    raise
                delay = min(delay, _OCCUPIED_SECONDS)  # its end, unlike a removal of its socket, is no event
            if served.registrar:
                served.registrar.wake()
                if not served.task:
                    served.task = asyncio.create_task(served.registrar.run())
                if served.task.done():
                    served.task.result()
        self.say()
        return delay

    def _look_at_others(self) -> None:
        """Register anew when another plugin of the same kubelet's has gone."""
        if not self._folder or not self._kubelet:
            return
        now = self._folder.sockets()
        before, self._others = self._others, now
        own = {served.endpoint.path.name for served in self._served.values()}
        kubelet = self._kubelet.name
        gone = {name for name, which in before.items() if name not in own and now.get(name) != which}
        if gone and before.get(kubelet) == now.get(kubelet):
            for name, served in self._served.items():
                if served.registrar and served.registrar.is_registered:
                    logging.info("the plugin at %s is gone, registering '%s' again", listed(sorted(gone)), name)
                    served.registrar.forget()

    def say(self) -> None:
        """Tell how each resource stands."""
        if not self._served:
            return
        groups: dict[str, list[str]] = {}
        for name, served in self._served.items():
            registrar = served.registrar
            state = served.obstacle or ("registration is off" if not registrar else
                                        "" if registrar.is_registered else registrar.state)
            resource = self._store.snapshot.resources.get(name)
            groups.setdefault(state, []).append(f"{len(resource.devices) if resource else 0} {name}")
        parts = [f"serving {', '.join(names)}, {state}" if state else f"registered {', '.join(names)} with the kubelet"
                 for state, names in groups.items()]
        parts += [f"{clip(device.id)} is unhealthy: {clip(device.fault)}"
                  for resource in self._store.snapshot.resources.values()
                  for device in resource.devices if device.fault]
        self._on_status("; ".join(parts))

    def _serve(self, name: str, path: Path) -> _Served:
        # The service counts its streams for the registrar, which is made after it.
        service = DevicePluginService(name, self._store, lambda: served.registrar.wake() if served.registrar else None)
        endpoint = Endpoint(name, path, service)
        registrar = Registrar(name, self._kubelet, endpoint, service, self.say) if self._kubelet else None
        served = _Served(endpoint, registrar, None)
        return served

    async def _stop_all(self) -> None:
        if self._folder:
            self._folder.close()
        while self._served:
            await self._served.popitem()[1].stop()


