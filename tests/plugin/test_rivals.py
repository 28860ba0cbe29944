# SPDX-License-Identifier: MIT
"""Another device plugin on the node, for the same resource: when it goes away, the GPU is offered again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin import rpc
from plugin.calls import SOCKET
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin, Resource
from wr_nvidia_k8s.lab.plugin import jetson

GPU = "nvidia.com/gpu"


class OldKubelet(KubeletStandin):
    """As the kubelet of 1.20: who registers in another's place leaves the stream of that one open, and unheeded."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.unheeded: list[asyncio.Task[None]] = []

    async def _forget(self, name: str) -> None:
        known = self._resources.get(name)
        if known and known.follower and self._server:
            self.unheeded.append(known.follower)
            del self._resources[name]
        else:
            await super()._forget(name)

    async def _follow(self, resource: Resource) -> None:
        try:
            await super()._follow(resource)
        finally:
            await resource.channel.close(None)


class Rival:
    """A device plugin with one device."""

    async def GetDevicePluginOptions(self, _request: api.Empty, _context: object) -> api.DevicePluginOptions:
        return api.DevicePluginOptions()

    async def ListAndWatch(self, _request: api.Empty, _context: object) -> AsyncIterator[api.ListAndWatchResponse]:
        yield api.ListAndWatchResponse(devices=[api.Device(ID="rival", health="Healthy")])
        await asyncio.Event().wait()

    async def Allocate(self, _request: api.AllocateRequest, _context: object) -> api.AllocateResponse:
        return api.AllocateResponse(container_responses=[api.ContainerAllocateResponse()])

    GetPreferredAllocation = PreStartContainer = Allocate


@contextlib.asynccontextmanager
async def rival(kubelet: KubeletStandin, name: str) -> AsyncIterator[grpc.aio.Server]:
    """One that has taken the resource, as NVIDIA's plugin does: it removes what is in its way."""
    path = kubelet.folder / name
    path.unlink(missing_ok=True)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((rpc.handler(rpc.DEVICE_PLUGIN, Rival()),))
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{kubelet.socket}") as channel:
        await rpc.call(channel, rpc.REGISTRATION, "Register")(
            api.RegisterRequest(version="v1beta1", endpoint=name, resource_name=GPU), timeout=30)
    await kubelet.wait_for(lambda: kubelet.devices(GPU) == {"rival"})
    yield server
    await server.stop(None)
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("kind", [KubeletStandin, OldKubelet])
@pytest.mark.parametrize("name", ["other.sock", SOCKET])
async def test_when_it_goes_the_gpu_is_offered_again(scratch: Path, kind: type[KubeletStandin], name: str) -> None:
    kubelet = kind(scratch / "kubelet")
    await kubelet.start()
    async with jetson(scratch) as plugin:
        await kubelet.wait_for(lambda: kubelet.devices(GPU) == {"0"})
        async with rival(kubelet, name):
            if name == SOCKET:
                await plugin.wait_log("<3>expected nobody to serve at .*, found process .*; waiting until it is gone")
                await plugin.wait_notified("another plugin serves at")
        await kubelet.wait_for(lambda: kubelet.devices(GPU) == {"0"})
        await plugin.wait_notified("registered 1", count=2 if name == SOCKET else 1)
        assert plugin.process.returncode is None
        assert sum("found process" in line for line in plugin.log) == (name == SOCKET)
    await kubelet.stop()


async def test_a_restart_of_the_kubelet_is_no_end_of_a_rival(scratch: Path, kubelet: KubeletStandin) -> None:
    """It wipes all sockets; one registration with the new one is enough."""
    async with jetson(scratch) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        async with rival(kubelet, "other.sock"):
            pass
        await kubelet.wait_for(lambda: kubelet.devices(GPU) == {"0"})
        for count in range(3):
            (kubelet.folder / "another.sock").unlink(missing_ok=True)
            before = kubelet.registrations
            await kubelet.restart()
            await kubelet.wait_for(lambda: kubelet.devices(GPU) == {"0"})
            await kubelet.admit(f"pod-{count}", GPU)
            kubelet.remove(f"pod-{count}")
            assert kubelet.registrations == before + 1
        assert plugin.process.returncode is None
