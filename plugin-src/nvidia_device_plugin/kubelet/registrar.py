# SPDX-License-Identifier: MIT
"""Keeps one resource known to the kubelet of the moment.

Known means that the kubelet which is there now took the registration and follows the list of devices: a stream is
open. Nothing reacts to what an event says: every event, every tick and every change of the streams leads to the same
question, so no order of a kubelet's deleting, binding and listening can leave the resource unregistered.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import grpc.aio

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin import rpc
from nvidia_device_plugin.kubelet import service
from nvidia_device_plugin.kubelet.endpoint import Endpoint, target
from nvidia_device_plugin.kubelet.folder import Identity, identity
from nvidia_device_plugin.kubelet.service import DevicePluginService
from nvidia_device_plugin.text import clip
from nvidia_device_plugin.waiting import happens

VERSION = "v1beta1"
Meeting = tuple[Identity, int]

# Long enough for a kubelet that is busy starting its pods; it dials us back within this call.
_CALL_SECONDS = 10.0
# After a registration, or the end of a stream, the kubelet has so long to open one.
_STREAM_SECONDS = 3.0
_LONGEST_STREAM_SECONDS = 60.0
# While nobody answers: a twentieth of the time that has passed, so that a kubelet which takes long to listen is
# found nearly at once, and one that never does costs nothing.
_RETRY_FRACTION, _SHORTEST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 0.05, 0.002, 1.0
# gRPC lets channels to one address share a connection: one to a kubelet that hangs would be its successor's.
_CHANNEL_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)
_FIRST_REFUSAL_SECONDS, _LONGEST_REFUSAL_SECONDS = 1.0, 8.0


class RegistrationRefused(Exception):
    """The kubelet answered, and the answer was no."""


class Registrar:
    """Registers one endpoint, again and again. state: where it stands, in words; on_state: called when that changed."""

    def __init__(self, name: str, kubelet: Path, endpoint: Endpoint, plugin: DevicePluginService,
                 on_state: Callable[[], None]) -> None:
        self.is_registered = False
        self.state = "registering with the kubelet"
        self._name, self._kubelet, self._endpoint, self._plugin = name, kubelet, endpoint, plugin
        self._on_state = on_state
        self._woken = asyncio.Event()
        self._known_to: Meeting | None = None
        self._stream_by = 0.0
        self._stream_seconds = _STREAM_SECONDS
        self._had_stream = False

    def wake(self) -> None:
        """Look again: something may have changed."""
        if not self._plugin.streams and self._had_stream:
            self._stream_by = time.monotonic() + _STREAM_SECONDS
        self._had_stream = self._plugin.streams > 0
        if self._had_stream:
            self._stream_seconds = _STREAM_SECONDS
        self._woken.set()

    def forget(self) -> None:
        """Register again: another plugin is gone, and the kubelet may have had its word for this resource.

        A kubelet (1.20) keeps the stream of a plugin in whose place another one has registered, and heeds it no longer.
        """
        self._known_to = None
        self._woken.set()

    async def run(self) -> None:
        """Keep the resource registered until cancelled."""
        while True:
            self._woken.clear()
            current = self._meeting()
            if current is None:
                self._known_to = None
                self._say(f"waiting for a kubelet at {self._kubelet}")
                await happens(self._woken, None)
            elif current == self._known_to and (seconds := self._seconds_known()):
                await happens(self._woken, seconds if seconds > 0 else None)
            else:
                await self._introduce(current)

    def _meeting(self) -> Meeting | None:
        """Which socket of ours meets which kubelet: a registration holds as long as neither is replaced."""
        kubelet = identity(self._kubelet)
        return (kubelet, self._endpoint.generation) if kubelet else None

    def _seconds_known(self) -> float:
        """For how long the kubelet still counts as knowing us without a stream; -1 with one, 0 for no longer."""
        if self._plugin.streams:
            return -1
        left = self._stream_by - time.monotonic()
        if left > 0:
            return left
        logging.warning("the kubelet does not follow '%s', registering again", self._name)
        self._known_to = None
        return 0

    async def _introduce(self, current: Meeting) -> None:
        """Register with the kubelet of this socket until it took us or is another one."""
        began, refusal_seconds = time.monotonic(), _FIRST_REFUSAL_SECONDS
        while self._meeting() == current:
            self._woken.clear()
            try:
                if await self._attempt(current):
                    self._registered(current)
                    return
                waited = time.monotonic() - began
                delay = min(max(waited * _RETRY_FRACTION, _SHORTEST_RETRY_SECONDS), _LONGEST_RETRY_SECONDS)
                if waited > 2:
                    self._say(f"waiting for a kubelet: nobody answers at {self._kubelet}")
            except RegistrationRefused as error:
                delay, refusal_seconds = refusal_seconds, min(2 * refusal_seconds, _LONGEST_REFUSAL_SECONDS)
                logging.error("expected the kubelet at %s to register '%s', it answered %s; retrying in %.0f s",
                              self._kubelet, self._name, error, delay)
                self._say(f"the kubelet refused to register it: {error}")
            # Not cut short by an event, unless the kubelet is another one.
            until = time.monotonic() + delay
            while (left := until - time.monotonic()) > 0 and self._meeting() == current:
                self._woken.clear()
                await happens(self._woken, left)

    async def _attempt(self, current: Meeting) -> bool:
        """One registration, given up when the kubelet is replaced. Raises RegistrationRefused."""
        if not self._endpoint.is_bound() or not _listens(self._kubelet):
            return False
        call = asyncio.create_task(_register(self._kubelet, self._endpoint.path.name, self._name))
        try:
            while not call.done() and self._meeting() == current:
                woken = asyncio.create_task(self._woken.wait())
                await asyncio.wait({call, woken}, return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
                self._woken.clear()
            return call.done() and call.result()
        finally:
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    def _registered(self, current: Meeting) -> None:
        logging.info("Registered device plugin for '%s' with Kubelet", self._name)
        self._known_to = current
        self._stream_by = time.monotonic() + self._stream_seconds
        # A kubelet that takes us and never follows is asked less and less often.
        self._stream_seconds = min(2 * self._stream_seconds, _LONGEST_STREAM_SECONDS)
        self.is_registered, self.state = True, "registered"
        self._on_state()

    def _say(self, state: str) -> None:
        if state == self.state:
            return
        if state.startswith("waiting"):
            logging.info("%s: %s", self._name, state)
        self.is_registered, self.state = False, state
        self._on_state()


def _listens(path: Path) -> bool:
    """Whether somebody accepts connections at the socket.

    A kubelet's socket is visible from its bind() on, and refuses until its listen(). Asking first keeps
    gRPC from backing off for a second after one refusal.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except OSError:  # EAGAIN, too: so many wait there that it does not get to them
            return False
    return True


async def _register(path: Path, endpoint: str, name: str) -> bool:
    """Announce a served socket to the kubelet; False where the kubelet went away meanwhile.

    endpoint: the file name of the plugin's socket in the kubelet socket's folder.
    Raises RegistrationRefused with the kubelet's own words.
    """
    request = api.RegisterRequest(version=VERSION, endpoint=endpoint, resource_name=name, options=service.options())
    async with grpc.aio.insecure_channel(target(path), options=_CHANNEL_OPTIONS) as channel:
        try:
            await rpc.call(channel, rpc.REGISTRATION, "Register")(request, timeout=_CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                return False
            raise RegistrationRefused(f"{error.code().name}: {clip(error.details() or '', 300)}") from error
    return True
