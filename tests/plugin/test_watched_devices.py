# SPDX-License-Identifier: MIT
"""What ListAndWatch says of each device, from which the kubelet aligns CPUs, memory and GPUs."""

from pathlib import Path

from plugin.calls import watched
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import PluginProcess, jetson

GPU = "nvidia.com/gpu"
UUIDS = [f"GPU-{number}fef8089-4820-abfc-e83e-94318197576e" for number in range(3)]


async def nodes(scratch: Path, card: Path, kubelet: KubeletStandin) -> dict[str, list[int]]:
    """The NUMA nodes of each card, as the kubelet is told them."""
    async with PluginProcess(scratch, "--driver-root", str(card), "--kubelet-socket", str(kubelet.socket)):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        devices = await watched(kubelet.folder)
    assert {device.health for device in devices.values()} == {"Healthy"}
    return {name: [node.ID for node in device.topology.nodes] for name, device in devices.items()}


async def test_a_card_comes_with_its_numa_node(scratch: Path, card: Path, kubelet: KubeletStandin) -> None:
    assert await nodes(scratch, card, kubelet) == dict(zip(UUIDS, ([0], [1], [1]), strict=True))


async def test_a_card_without_a_numa_node_comes_without(scratch: Path, card: Path, kubelet: KubeletStandin) -> None:
    files = [card / f"sys/bus/pci/devices/0000:0{bus}:00.0/numa_node" for bus in (1, 2, 3)]
    files[0].write_text("-1\n")  # the kernel's word for none
    files[1].unlink()
    files[2].write_text("2\n")
    assert await nodes(scratch, card, kubelet) == dict(zip(UUIDS, ([], [], [2]), strict=True))


async def test_a_jetsons_gpu_hangs_on_no_node(scratch: Path, kubelet: KubeletStandin) -> None:
    async with jetson(scratch):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        (device,) = (await watched(kubelet.folder)).values()
    assert (device.ID, device.health, device.HasField("topology")) == ("0", "Healthy", False)
