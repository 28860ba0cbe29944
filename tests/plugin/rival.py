# SPDX-License-Identifier: MIT
"""Another device plugin for the same resource."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin import rpc

GPU = "nvidia.com/gpu"
DEVICES = {"rival-0", "rival-1"}


class Rival:
    """A device plugin with two devices."""

    async def GetDevicePluginOptions(self, _request: api.Empty, _context: object) -> api.DevicePluginOptions:
        return api.DevicePluginOptions()

    async def ListAndWatch(self, _request: api.Empty, _context: object) -> AsyncIterator[api.ListAndWatchResponse]:
        yield api.ListAndWatchResponse(devices=[api.Device(ID=name, health="Healthy")
                                                for name in sorted(DEVICES)])
        await asyncio.Event().wait()

    async def Allocate(self, _request: api.AllocateRequest, _context: object) -> api.AllocateResponse:
        return api.AllocateResponse(container_responses=[api.ContainerAllocateResponse()])

    GetPreferredAllocation = PreStartContainer = Allocate


@contextlib.asynccontextmanager
async def rival(kubelet: Path, name: str) -> AsyncIterator[None]:
    """One that has registered as the resource, as NVIDIA's plugin does: it removes what is in its way.

    kubelet: the kubelet's socket. name: the file name of the rival's.
    """
    path = kubelet.with_name(name)
    path.unlink(missing_ok=True)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((rpc.handler(rpc.DEVICE_PLUGIN, Rival()),))
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{kubelet}") as channel:
        await rpc.call(channel, rpc.REGISTRATION, "Register")(
            api.RegisterRequest(version="v1beta1", endpoint=name, resource_name=GPU), timeout=30)
    try:
        yield
    finally:
        await server.stop(None)
        path.unlink(missing_ok=True)
