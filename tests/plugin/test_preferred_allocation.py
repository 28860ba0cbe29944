# SPDX-License-Identifier: MIT
"""Which cards the plugin prefers for one container: those that it must have, then their neighbours."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from plugin.calls import ask
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import PluginProcess

GPU = "nvidia.com/gpu"
UUIDS = [f"GPU-{number}fef8089-4820-abfc-e83e-94318197576e" for number in range(3)]


@pytest.fixture
async def cards(scratch: Path, card: Path, kubelet: KubeletStandin) -> AsyncIterator[Path]:
    """The folder of a kubelet that knows card 0 of NUMA node 0, and cards 1 and 2 of node 1."""
    async with PluginProcess(scratch, "--driver-root", str(card), "--kubelet-socket", str(kubelet.socket)):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        yield kubelet.folder


async def preferred(folder: Path, *containers: tuple[list[int], list[int], int]) -> list[list[int]]:
    """The cards for each container of (available, must include, size), in ascending order."""
    request = api.PreferredAllocationRequest()
    for available, must, size in containers:
        request.container_requests.add(available_deviceIDs=[UUIDS[number] for number in available],
                                       must_include_deviceIDs=[UUIDS[number] for number in must], allocation_size=size)
    answer = await ask(folder, "GetPreferredAllocation", request)
    return [sorted(UUIDS.index(device) for device in container.deviceIDs) for container in answer.container_responses]


async def test_what_must_be_included_is(cards: Path) -> None:
    for must in range(3):
        assert await preferred(cards, ([0, 1, 2], [must], 1)) == [[must]]
    assert await preferred(cards, ([0, 1, 2], [0, 2], 2)) == [[0, 2]]
    assert await preferred(cards, ([2, 1, 0], [1, 0], 3)) == [[0, 1, 2]]


async def test_the_neighbour_of_what_must_be_included_comes_next(cards: Path) -> None:
    assert await preferred(cards, ([0, 1, 2], [1], 2)) == [[1, 2]]
    assert await preferred(cards, ([2, 0, 1], [2], 2)) == [[1, 2]]
    # Nothing is near card 0: the first of the others.
    assert await preferred(cards, ([2, 1, 0], [0], 2)) == [[0, 1]]


async def test_with_nothing_to_include_the_fullest_node_is_taken(cards: Path) -> None:
    assert await preferred(cards, ([0, 1, 2], [], 1)) == [[1]]
    assert await preferred(cards, ([2, 1, 0], [], 2)) == [[1, 2]]
    assert await preferred(cards, ([2, 0], [], 1)) == [[0]]
    assert await preferred(cards, ([2, 0], [], 2)) == [[0, 2]]


async def test_each_container_is_answered_in_its_place(cards: Path) -> None:
    assert await preferred(cards, ([0, 1, 2], [], 2), ([0], [], 1), ([0, 1, 2], [0], 3)) == [[1, 2], [0], [0, 1, 2]]
