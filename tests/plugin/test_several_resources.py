# SPDX-License-Identifier: MIT
"""The core with several resources: each is served, registered and changed by itself."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from nvidia_device_plugin import config
from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin.daemon.supervisor import Supervisor
from nvidia_device_plugin.model import Device, Resource
from nvidia_device_plugin.state.store import Store
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin

GPU, SHARED = "nvidia.com/gpu", "nvidia.com/gpu.shared"


def resource(name: str, *ids: str, fault: str = "") -> Resource:
    return Resource(name, tuple(Device(id=text, index=index, visible_as=text, fault=fault)
                                for index, text in enumerate(ids)))


def offered(*resources: Resource) -> Mapping[str, Resource]:
    return {resource.name: resource for resource in resources}


class Served:
    """A store, and what serves it. said: the status lines."""

    def __init__(self, kubelet: Path, *resources: Resource) -> None:
        self.settings = config.load({"kubelet-socket": str(kubelet)}, {})
        self.store = Store(self.settings, offered(*resources))
        self.said: list[str] = []
        self.task = asyncio.create_task(Supervisor(self.store, self.said.append).run())

    def publish(self, *resources: Resource) -> bool:
        return self.store.publish(self.settings, offered(*resources))


@pytest.fixture
async def served(kubelet: KubeletStandin) -> AsyncIterator[Served]:
    served = Served(kubelet.socket, resource(GPU, "a", "b"), resource(SHARED, "c::0"))
    await kubelet.wait_for(lambda: (kubelet.capacity(GPU), kubelet.capacity(SHARED)) == (2, 1))
    yield served
    served.task.cancel()
    await asyncio.gather(served.task, return_exceptions=True)
    assert sorted(path.name for path in kubelet.folder.iterdir()) == sorted(
        name for name in ("kubelet.sock", "kubelet_internal_checkpoint") if (kubelet.folder / name).exists())


async def test_each_answers_for_its_own_devices(served: Served, kubelet: KubeletStandin) -> None:
    assert (await kubelet.admit("one", GPU)).envs["NVIDIA_VISIBLE_DEVICES"] == "a"
    assert (await kubelet.admit("two", SHARED)).envs["NVIDIA_VISIBLE_DEVICES"] == "c::0"
    assert served.said[-1] == f"registered 2 {GPU}, 1 {SHARED} with the kubelet"


async def test_both_survive_a_kubelets_restart(served: Served, kubelet: KubeletStandin) -> None:
    await kubelet.restart()
    await kubelet.wait_for(lambda: (kubelet.capacity(GPU), kubelet.capacity(SHARED)) == (2, 1))


async def test_a_new_list_comes_by_the_open_stream(served: Served, kubelet: KubeletStandin) -> None:
    before = kubelet.registrations
    assert served.publish(resource(GPU, "a"), resource(SHARED, "c::0", "c::1"))
    await kubelet.wait_for(lambda: (kubelet.capacity(GPU), kubelet.capacity(SHARED)) == (1, 2))
    assert kubelet.registrations == before


async def test_what_does_not_differ_is_not_published(served: Served) -> None:
    assert not served.publish(resource(GPU, "a", "b"), resource(SHARED, "c::0"))
    assert served.store.snapshot.generation == 1


async def test_an_unhealthy_device_is_shown_and_not_allocated(served: Served, kubelet: KubeletStandin) -> None:
    served.publish(resource(GPU, "a", "b", fault="it is gone"), resource(SHARED, "c::0"))
    await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 0)
    with pytest.raises(Exception, match="Available: 0"):
        await kubelet.admit("pod", GPU)


async def test_a_resource_comes_and_goes_beside_the_other(served: Served, kubelet: KubeletStandin) -> None:
    served.publish(resource(GPU, "a", "b"))
    await kubelet.wait_for(lambda: kubelet.capacity(SHARED) == 0)
    assert kubelet.capacity(GPU) == 2
    served.publish(resource(GPU, "a", "b"), resource(SHARED, "c::0"))
    await kubelet.wait_for(lambda: kubelet.capacity(SHARED) == 1)


class Refusing(KubeletStandin):
    async def Register(self, request: api.RegisterRequest, context: grpc.aio.ServicerContext[Any, Any]) -> api.Empty:
        if request.resource_name == GPU:
            await context.abort(grpc.StatusCode.UNKNOWN, "not this one")
        return await super().Register(request, context)


async def test_a_refused_resource_does_not_hold_up_the_other(scratch: Path) -> None:
    kubelet = Refusing(scratch / "kubelet")
    await kubelet.start()
    served = Served(kubelet.socket, resource(GPU, "a"), resource(SHARED, "c::0"))
    await kubelet.wait_for(lambda: kubelet.capacity(SHARED) == 1)
    assert kubelet.capacity(GPU) == 0
    served.task.cancel()
    await asyncio.gather(served.task, return_exceptions=True)
    await kubelet.stop()
