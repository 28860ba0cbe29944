# SPDX-License-Identifier: MIT
"""Which machine is which: Tegra trees, NVML through a stand-in library, and machines with neither."""

import re
import shutil
import signal
from pathlib import Path

import pytest

from nvidia_device_plugin.errors import DiscoveryError
from nvidia_device_plugin.platforms import tegra
from plugin.conftest import LOOKING, nvml
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.lab.jetson import BOARDS, lay_out
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import SOURCE, PluginProcess, jetson

CONFIG = TOP / "recipes-containers/nvidia-device-plugin/files/config.yaml"
GPU = "nvidia.com/gpu"
UUIDS = [f"GPU-{number}fef8089-4820-abfc-e83e-94318197576e" for number in range(3)]


@pytest.mark.parametrize("board", sorted(BOARDS))
def test_every_board_is_told_by_its_model_soc_and_release(tmp_path: Path, board: str) -> None:
    root = lay_out(tmp_path, board)
    inventory = tegra.discover(root, root)
    soc = BOARDS[board].compatible[-1].removeprefix("nvidia,")
    release = re.sub(r"# R(\d+).*REVISION: ([\d.]+),.*", r"R\1.\2", BOARDS[board].release)
    assert inventory.description == f"{BOARDS[board].model}, SoC {soc}, L4T {release}"
    assert [device.id for device in inventory.devices] == ["0"]


@pytest.mark.parametrize(("file", "content", "expected"), [
    ("etc/nv_tegra_release", "", True),
    ("sys/devices/soc0/family", "Tegra\n", True),
    ("sys/devices/soc0/family", "TEGRA234", True),
    ("sys/devices/soc0/family", "Snapdragon", False),
    ("sys/devices/soc0/machine", "Tegra", False),
])
def test_either_mark_makes_a_tegra(tmp_path: Path, file: str, content: str, expected: bool) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(content)
    assert tegra.is_tegra(tmp_path) is expected


def test_a_board_that_says_little_is_served_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_bytes(b"\xff not what L4T writes")
    assert tegra.discover(tmp_path, tmp_path).description == "unknown board, SoC unknown, L4T unknown"


def test_an_unreadable_mark_is_an_error_not_a_guess(tmp_path: Path) -> None:
    (tmp_path / "sys/devices/soc0/family").mkdir(parents=True)
    with pytest.raises(DiscoveryError, match="family: Is a directory"):
        tegra.is_tegra(tmp_path)


async def test_a_machine_without_gpu_is_told_what_was_looked_for(scratch: Path) -> None:
    (scratch / "empty").mkdir()
    async with PluginProcess(scratch, "--driver-root", str(scratch / "empty"), "--kubelet-socket",
                             str(scratch / "kubelet/kubelet.sock")) as plugin:
        assert await plugin.end() == 1
        assert f"{scratch}/empty/etc/nv_tegra_release" in plugin.log[-1]
        assert "libnvidia-ml.so.1" in plugin.log[-1]


async def test_it_waits_for_a_gpu_when_told_not_to_fail(scratch: Path, kubelet: KubeletStandin) -> None:
    (scratch / "board").mkdir()
    async with PluginProcess(scratch, "--driver-root", str(scratch / "board"), "--fail-on-init-error=false",
                             "--kubelet-socket", str(kubelet.socket)) as plugin:
        await plugin.wait_notified("READY=1\nSTATUS=no GPU found, looking again")
        lay_out(scratch / "board")
        plugin.process.send_signal(signal.SIGHUP)
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)


TOLD = """\
import logging, nvidia_device_plugin.daemon.process as process
look_again = process._look_again
async def told(*arguments):
    found = await look_again(*arguments)
    logging.info("looked")
    return found
process._look_again = told
"""


async def test_as_a_service_it_waits_for_a_driver_and_says_so_once(scratch: Path, kubelet: KubeletStandin) -> None:
    """With the package's configuration: one that ends would be started again for ever, some lines each time."""
    (scratch / "empty").mkdir()
    async with PluginProcess(scratch, "--config-file", str(CONFIG), "--driver-root", str(scratch / "empty"),
                             "--kubelet-socket", str(kubelet.socket), command=[*LOOKING[:2], TOLD + LOOKING[2]],
                             environ={"PYTHONPATH": str(SOURCE)}) as plugin:
        await plugin.wait_notified("READY=1\nSTATUS=no GPU found, looking again every .*: expected a Tegra system .* "
                                   "or the NVIDIA driver .libnvidia-ml.so.1.")
        await plugin.wait_log("looked$", count=5)
        assert sum("expected a Tegra system" in line for line in plugin.log) == 1
        nvml(scratch / "empty")
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        await plugin.wait_log("NVML devices detected: NVIDIA driver")
        assert kubelet.registrations == 1


def on_card(scratch: Path, card: Path, *flags: str, environ: dict[str, str] | None = None) -> PluginProcess:
    return PluginProcess(scratch, "--driver-root", str(card), "--kubelet-socket",
                         str(scratch / "kubelet/kubelet.sock"), *flags, environ=environ)


async def test_cards_are_offered_by_their_uuids(scratch: Path, card: Path, kubelet: KubeletStandin) -> None:
    async with on_card(scratch, card, "--pass-device-specs") as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        await plugin.wait_log("NVML devices detected: NVIDIA driver 580.95.05, 3 GPU")
        container = await kubelet.admit("pod", GPU)
        index = UUIDS.index(container.envs["NVIDIA_VISIBLE_DEVICES"])
        assert [spec.container_path for spec in container.devices] == ["/dev/nvidiactl", "/dev/nvidia-uvm",
                                                                      f"/dev/nvidia{index}"]
        assert all(spec.host_path == f"{card}{spec.container_path}" for spec in container.devices)


async def test_two_cards_for_one_pod_share_their_numa_node(scratch: Path, card: Path, kubelet: KubeletStandin) -> None:
    async with on_card(scratch, card, "--device-id-strategy", "index"):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        container = await kubelet.admit("pod", GPU, count=2)
        assert container.envs["NVIDIA_VISIBLE_DEVICES"] == "1,2"


async def test_a_driver_that_does_not_start_is_named(scratch: Path, card: Path) -> None:
    async with on_card(scratch, card, environ={"NVML_STANDIN_INIT": "9"}) as plugin:
        assert await plugin.end() == 1
        assert "expected" in plugin.log[-1] and "Driver Not Loaded" in plugin.log[-1]


async def test_a_driver_without_cards_waits_for_one_as_nvidias_plugin_does(scratch: Path, card: Path) -> None:
    async with on_card(scratch, card, environ={"NVML_STANDIN_COUNT": "0"}) as plugin:
        await plugin.wait_notified("READY=1\nSTATUS=no GPU found")
        await plugin.wait_log(r"expected at least one GPU, found none \(NVIDIA driver 580.95.05, 0 GPU")
        assert await plugin.end(signal.SIGTERM) == 0


async def test_a_tegra_with_the_library_is_still_a_tegra(scratch: Path, card: Path, kubelet: KubeletStandin) -> None:
    lay_out(card)
    shutil.rmtree(card / "sys/bus/pci")
    async with on_card(scratch, card):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)


async def test_a_strategy_that_does_not_fit_the_machine_is_refused(scratch: Path, card: Path) -> None:
    async with on_card(scratch, card, "--device-discovery-strategy", "tegra") as plugin:
        assert await plugin.end() == 1
        assert "expected a Tegra system" in plugin.log[-1]
    async with jetson(scratch, "--device-discovery-strategy", "nvml") as plugin:
        assert await plugin.end() == 1
        assert "libnvidia-ml.so.1" in plugin.log[-1]
