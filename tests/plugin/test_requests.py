# SPDX-License-Identifier: MIT
"""What the kubelet may ask, and what it must not, over real gRPC."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin import rpc
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import PluginProcess, jetson

GPU = "nvidia.com/gpu"


@pytest.fixture
async def plugin(scratch: Path, kubelet: KubeletStandin) -> AsyncIterator[PluginProcess]:
    async with jetson(scratch, "--pass-device-specs") as process:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        yield process


async def ask(kubelet: KubeletStandin, method: str, request: object) -> Any:
    async with grpc.aio.insecure_channel(f"unix:{kubelet.folder}/nvidia-gpu.sock") as channel:
        return await rpc.call(channel, rpc.DEVICE_PLUGIN, method)(request, timeout=30)


def allocation(*containers: list[str]) -> api.AllocateRequest:
    request = api.AllocateRequest()
    for devices in containers:
        request.container_requests.add(devices_ids=devices)
    return request


def preference(available: list[str], must: list[str], size: int) -> api.PreferredAllocationRequest:
    request = api.PreferredAllocationRequest()
    request.container_requests.add(available_deviceIDs=available, must_include_deviceIDs=must, allocation_size=size)
    return request


async def test_device_specs_are_the_nodes_that_the_board_has(plugin: PluginProcess, scratch: Path,
                                                             kubelet: KubeletStandin) -> None:
    container = await kubelet.admit("pod", GPU)
    specs = {spec.container_path: (spec.host_path, spec.permissions) for spec in container.devices}
    assert specs == {node: (f"{scratch}/board{node}", "rw") for node in (
        "/dev/nvgpu/igpu0/as", "/dev/nvgpu/igpu0/channel", "/dev/nvgpu/igpu0/ctrl", "/dev/nvmap")}


async def test_options_name_what_is_implemented(plugin: PluginProcess, kubelet: KubeletStandin) -> None:
    options = await ask(kubelet, "GetDevicePluginOptions", api.Empty())
    assert options.get_preferred_allocation_available
    assert not options.pre_start_required


@pytest.mark.parametrize(("method", "request_", "words"), [
    ("Allocate", allocation(["7"]), "unknown device '7'; there are: 0"),
    ("Allocate", allocation(["0", "0"]), "found '0' repeated"),
    ("Allocate", allocation(["0"], ["0"]), "the request: expected each device once, found '0' repeated"),
    ("Allocate", allocation([]), "container 0: expected at least one device, found none"),
    ("Allocate", allocation(["0"], []), "container 1: expected at least one device, found none"),
    ("Allocate", allocation(), "expected at least one container"),
    ("GetPreferredAllocation", preference(["7"], [], 1), "unknown device '7'"),
    ("GetPreferredAllocation", preference(["0", "0"], [], 2), "available devices: expected each device once"),
    ("GetPreferredAllocation", preference(["0"], ["7"], 1), "expected the devices to include (7)"),
    ("GetPreferredAllocation", preference(["0"], [], 2), "expected an allocation size from 1 to 1, found 2"),
    ("GetPreferredAllocation", preference(["0"], [], -1), "found -1"),
    ("PreStartContainer", api.PreStartContainerRequest(devices_ids=["7"]), "unknown device '7'"),
    ("PreStartContainer", api.PreStartContainerRequest(devices_ids=["0", "0"]), "found '0' repeated"),
])
async def test_a_bad_request_is_refused_by_name_and_changes_nothing(
        plugin: PluginProcess, kubelet: KubeletStandin, method: str, request_: object, words: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await ask(kubelet, method, request_)
    assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert words in (refusal.value.details() or "")
    await plugin.wait_log("<3>refused: nvidia.com/gpu")
    assert kubelet.capacity(GPU) == 1
    assert (await kubelet.admit("pod", GPU)).envs["NVIDIA_VISIBLE_DEVICES"] == "0"


async def test_an_unknown_device_is_refused_with_those_that_there_are(plugin: PluginProcess,
                                                                      kubelet: KubeletStandin) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await ask(kubelet, "Allocate", allocation(["7"]))
    assert (refusal.value.details() or "").endswith("unknown device '7'; there are: 0")


async def test_bytes_that_are_no_request_do_not_hurt(plugin: PluginProcess, kubelet: KubeletStandin) -> None:
    async with grpc.aio.insecure_channel(f"unix:{kubelet.folder}/nvidia-gpu.sock") as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary("/v1beta1.DevicePlugin/Allocate", None, None)(b"\xff\xff\xff", timeout=30)
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await channel.unary_unary("/v1beta1.DevicePlugin/Deallocate", None, None)(b"", timeout=30)
    assert unknown.value.code() == grpc.StatusCode.UNIMPLEMENTED
    await kubelet.admit("pod", GPU)
