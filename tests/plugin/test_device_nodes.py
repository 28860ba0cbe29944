# SPDX-License-Identifier: MIT
"""The device nodes of an allocation, looked up below --dev-root and handed out from there."""

import signal
from pathlib import Path

import pytest

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from plugin.calls import ask
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import PluginProcess, jetson

GPU = "nvidia.com/gpu"


@pytest.fixture
def devices(scratch: Path) -> Path:
    """A folder for --dev-root, with one node of a Jetson and two of a card."""
    folder = scratch / "devices"
    (folder / "dev").mkdir(parents=True)
    for name in ("nvmap", "nvidiactl", "nvidia2"):
        (folder / "dev" / name).touch()
    return folder


async def test_a_jetsons_nodes_are_those_below_the_dev_root(scratch: Path, devices: Path,
                                                            kubelet: KubeletStandin) -> None:
    async with jetson(scratch, "--dev-root", str(devices), "--pass-device-specs"):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        container = await kubelet.admit("pod", GPU)
    specs = [(spec.container_path, spec.host_path, spec.permissions) for spec in container.devices]
    assert specs == [("/dev/nvmap", f"{devices}/dev/nvmap", "rw")]


async def test_a_cards_nodes_are_those_below_the_dev_root(scratch: Path, card: Path, devices: Path,
                                                          kubelet: KubeletStandin) -> None:
    request = api.AllocateRequest()
    request.container_requests.add(devices_ids=["GPU-2fef8089-4820-abfc-e83e-94318197576e"])
    async with PluginProcess(scratch, "--driver-root", str(card), "--dev-root", str(devices), "--pass-device-specs",
                             "--kubelet-socket", str(kubelet.socket)):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        (container,) = (await ask(kubelet.folder, "Allocate", request)).container_responses
    specs = [(spec.container_path, spec.host_path) for spec in container.devices]
    assert specs == [(f"/dev/{name}", f"{devices}/dev/{name}") for name in ("nvidiactl", "nvidia2")]


async def test_wildcards_of_the_runtimes_lists_are_expanded(scratch: Path, kubelet: KubeletStandin) -> None:
    """meta-tegra's devices.csv has /dev/dri/card*."""
    async with jetson(scratch, "--pass-device-specs") as plugin:
        board = scratch / "board"
        (board / "dev/dri").mkdir()
        for name in ("card0", "card1", "renderD128"):
            (board / "dev/dri" / name).touch()
        (board / "dev/dri/card2").symlink_to("gone")  # a container with it would not start
        lists = board / "etc/nvidia-container-runtime/host-files-for-container.d/devices.csv"
        lists.write_text("dev, /dev/dri/card*\ndev, /dev/nvmap\n")
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        plugin.process.send_signal(signal.SIGHUP)
        await plugin.wait_log("Reloaded the configuration")
        container = await kubelet.admit("pod", GPU)
    assert [spec.container_path for spec in container.devices] == ["/dev/dri/card0", "/dev/dri/card1", "/dev/nvmap"]
