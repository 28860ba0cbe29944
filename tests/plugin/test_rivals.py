# SPDX-License-Identifier: MIT
"""Another device plugin on the node, for the same resource: when it goes away, the GPU is offered again."""

import asyncio
from pathlib import Path

import pytest

from plugin.calls import SOCKET
from plugin.rival import DEVICES, rival
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


@pytest.mark.parametrize("kind", [KubeletStandin, OldKubelet])
@pytest.mark.parametrize("name", ["other.sock", SOCKET])
async def test_when_it_goes_the_gpu_is_offered_again(scratch: Path, kind: type[KubeletStandin], name: str) -> None:
    kubelet = kind(scratch / "kubelet")
    await kubelet.start()
    async with jetson(scratch) as plugin:
        await kubelet.wait_for(lambda: kubelet.devices(GPU) == {"0"})
        async with rival(kubelet.socket, name):
            await kubelet.wait_for(lambda: kubelet.devices(GPU) == DEVICES)
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
        async with rival(kubelet.socket, "other.sock"):
            await kubelet.wait_for(lambda: kubelet.devices(GPU) == DEVICES)
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
