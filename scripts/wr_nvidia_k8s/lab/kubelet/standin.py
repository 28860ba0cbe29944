# SPDX-License-Identifier: MIT
"""A kubelet's device manager without the rest of the kubelet, for machines that cannot run a real one.

    python -m wr_nvidia_k8s.lab.kubelet.standin DIR [--state FILE]

It behaves as pkg/kubelet/cm/devicemanager of Kubernetes does where a plugin can notice: at its start it
wipes its folder of everything but its checkpoint, it refuses other API versions and resource names that
are not extended resources, it calls the plugin back before it answers Register, it follows ListAndWatch
and takes the end of the stream for the end of the devices, and it remembers allocations over a restart.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin import rpc
from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.common.waiting import within

SOCKET = "kubelet.sock"
CHECKPOINT = "kubelet_internal_checkpoint"
_CALL_SECONDS = 10
# An extended resource is a qualified name outside kubernetes.io: pkg/apis/core/v1/helper/helpers.go.
_EXTENDED_RESOURCE = re.compile(r"(?!([a-z0-9.-]+\.)?kubernetes\.io/)[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]"
                                r"([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


class AdmissionError(UserError):
    """A pod cannot be admitted; the text is what its status would say."""


@dataclass
class Resource:
    """One registered plugin. healthy: its devices that can be allocated, by ID, None while it is gone."""

    endpoint: Path
    channel: grpc.aio.Channel
    options: api.DevicePluginOptions
    healthy: set[str] = field(default_factory=set)
    follower: asyncio.Task[None] | None = None


class KubeletStandin:
    """The device manager of one node, serving in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registrations = 0
        self._resources: dict[str, Resource] = {}
        self._allocated: dict[str, dict[str, list[str]]] = {}
        self._server: grpc.aio.Server | None = None
        self._changed = asyncio.Condition()

    @property
    def socket(self) -> Path:
        return self.folder / SOCKET

    async def start(self) -> None:
        """Wipe the folder, take the checkpoint's allocations and listen."""
        self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for entry in self.folder.iterdir():
            if entry.name != CHECKPOINT and not entry.is_dir():
                entry.unlink(missing_ok=True)
        await self._serve(self.socket)

    async def _serve(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._allocated = json.loads((self.folder / CHECKPOINT).read_text(encoding="utf-8"))
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((rpc.handler(rpc.REGISTRATION, self),))
        self._server.add_insecure_port(f"unix:{path}")
        await self._server.start()

    async def stop(self) -> None:
        """End as a killed kubelet does: the plugins' connections break, its socket may stay."""
        for name in list(self._resources):
            await self._forget(name)
        if self._server:
            await self._server.stop(None)
            self._server = None

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def capacity(self, resource: str) -> int:
        """How many healthy devices of the resource the node would show."""
        return len(self.devices(resource))

    def devices(self, resource: str) -> set[str]:
        """The IDs of the resource's healthy devices."""
        known = self._resources.get(resource)
        return known.healthy if known else set()

    async def wait_for(self, condition: Callable[[], bool], seconds: float | None = 30) -> None:
        """Return once the condition holds; it is looked at after every change. Raises TimeoutError."""
        async def until() -> None:
            async with self._changed:
                await self._changed.wait_for(condition)

        await within(seconds, until())

    async def admit(self, pod: str, resource: str, count: int = 1) -> api.ContainerAllocateResponse:
        """Allocate devices to a pod of one container; returns what the container would be given.

        Raises AdmissionError in the kubelet's words where there are not enough, and grpc.aio.AioRpcError
        where the plugin refuses.
        """
        known = self._resources.get(resource)
        taken = {device for owner in self._allocated.values() for device in owner.get(resource, [])}
        free = sorted((known.healthy if known else set()) - taken)
        if not known or len(free) < count:
            raise AdmissionError(f"UnexpectedAdmissionError: requested number of devices unavailable for {resource}. "
                                 f"Requested: {count}, Available: {len(free)}")
        devices = free[:count]
        if known.options.get_preferred_allocation_available:
            preference = api.PreferredAllocationRequest()
            preference.container_requests.add(available_deviceIDs=free, allocation_size=count)
            answer = await _call(known.channel, "GetPreferredAllocation", preference)
            devices = list(answer.container_responses[0].deviceIDs)
            if not set(devices) <= set(free) or len(devices) != count:
                raise AdmissionError(f"expected {count} of {free} as the preferred allocation, got {devices}")
        request = api.AllocateRequest()
        request.container_requests.add(devices_ids=devices)
        response = await _call(known.channel, "Allocate", request)
        if len(response.container_responses) != 1:
            raise AdmissionError(f"expected one container response, got {len(response.container_responses)}")
        if known.options.pre_start_required:
            await _call(known.channel, "PreStartContainer", api.PreStartContainerRequest(devices_ids=devices))
        self._allocated.setdefault(pod, {}).setdefault(resource, []).extend(devices)
        self._write_checkpoint()
        container: api.ContainerAllocateResponse = response.container_responses[0]
        return container

    def remove(self, pod: str) -> None:
        """The pod is gone; its devices are free."""
        self._allocated.pop(pod, None)
        self._write_checkpoint()

    async def Register(self, request: api.RegisterRequest, context: grpc.aio.ServicerContext[Any, Any]) -> api.Empty:
        """The API's Registration service."""
        if request.version != "v1beta1":
            await context.abort(grpc.StatusCode.UNKNOWN, f"requested API version {request.version!r} is not supported "
                                                         f"by kubelet. Supported version is \"v1beta1\"")
        if not _EXTENDED_RESOURCE.fullmatch(request.resource_name):
            await context.abort(grpc.StatusCode.UNKNOWN, f"the ResourceName {request.resource_name!r} is invalid")
        endpoint = self.folder / request.endpoint
        # A connection of its own each time, as grpc-go's: another plugin may serve at the path by now.
        channel = grpc.aio.insecure_channel(f"unix:{endpoint}", options=[("grpc.use_local_subchannel_pool", 1)])
        try:
            options = await _call(channel, "GetDevicePluginOptions", api.Empty())
        except grpc.aio.AioRpcError as error:
            await channel.close(None)
            await context.abort(grpc.StatusCode.UNKNOWN,
                                f"failed to dial device plugin at {endpoint}: {error.details()}")
        await self._forget(request.resource_name)
        known = Resource(endpoint, channel, options)
        self._resources[request.resource_name] = known
        known.follower = asyncio.create_task(self._follow(known))
        async with self._changed:
            self.registrations += 1
            self._changed.notify_all()
        return api.Empty()

    async def _follow(self, resource: Resource) -> None:
        stream: AsyncIterator[api.ListAndWatchResponse] = rpc.call(
            resource.channel, rpc.DEVICE_PLUGIN, "ListAndWatch")(api.Empty())
        try:
            async for response in stream:
                healthy = {device.ID for device in response.devices if device.health == "Healthy"}
                await self._set_healthy(resource, healthy)
        except grpc.aio.AioRpcError:
            pass
        await self._set_healthy(resource, set())

    async def _set_healthy(self, resource: Resource, healthy: set[str]) -> None:
        async with self._changed:
            resource.healthy = healthy
            self._changed.notify_all()

    async def _forget(self, name: str) -> None:
        known = self._resources.pop(name, None)
        if known:
            if known.follower:
                known.follower.cancel()
                await asyncio.gather(known.follower, return_exceptions=True)
            await known.channel.close(None)

    def _write_checkpoint(self) -> None:
        temporary = self.folder / f".{CHECKPOINT}.{os.getpid()}"
        temporary.write_text(json.dumps(self._allocated), encoding="utf-8")
        temporary.replace(self.folder / CHECKPOINT)

    def state(self) -> dict[str, Any]:
        """What the node knows: capacity by resource, registrations so far, allocations by pod."""
        return {"capacity": {name: self.capacity(name) for name in self._resources},
                "registrations": self.registrations, "allocations": self._allocated}


async def _call(channel: grpc.aio.Channel, method: str, request: object) -> Any:
    return await rpc.call(channel, rpc.DEVICE_PLUGIN, method)(request, timeout=_CALL_SECONDS)


async def _serve(folder: Path, state: Path | None) -> None:
    kubelet = KubeletStandin(folder)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await kubelet.start()
    publisher = asyncio.create_task(_publish(kubelet, state)) if state else None
    await stopped.wait()
    if publisher:
        publisher.cancel()
    await kubelet.stop()


async def _publish(kubelet: KubeletStandin, file: Path) -> None:
    published = ""

    def has_news() -> bool:
        return json.dumps(kubelet.state()) != published

    while True:
        await kubelet.wait_for(has_news, None)
        published = json.dumps(kubelet.state())
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(published + "\n", encoding="utf-8")
        temporary.replace(file)


def main() -> int:
    parser = argparse.ArgumentParser(prog="kubelet-standin", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="the kubelet's device plugin folder")
    parser.add_argument("--state", type=Path, metavar="FILE",
                        help="write capacity, registrations and allocations there as JSON after each change")
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.folder, arguments.state))
    return 0


if __name__ == "__main__":
    sys.exit(main())
