# SPDX-License-Identifier: MIT
"""The frozen program, which is what a board runs: everything that freezing could have left out is used once."""

import signal
import subprocess
from pathlib import Path

import pytest

from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import PluginProcess, jetson

TOP = Path(__file__).resolve().parents[2]
CONFIG = TOP / "recipes-containers/nvidia-device-plugin/files/config.yaml"
GPU = "nvidia.com/gpu"


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("frozen")
    result = subprocess.run([TOP / "scripts/freeze", "--arch", "amd64", "--output", folder])
    if result.returncode == 69:
        pytest.skip("Debian packages for freezing: scripts/freeze names them")
    assert result.returncode == 0
    return str(folder / "nvidia-device-plugin/nvidia-device-plugin")


async def test_it_serves_a_jetson_through_a_kubelet_restart_and_a_reload(
        program: str, scratch: Path, kubelet: KubeletStandin) -> None:
    async with jetson(scratch, "--config-file", str(CONFIG), "--pass-device-specs", command=[program]) as plugin:
        await plugin.wait_notified("STATUS=registered 1 nvidia.com/gpu")
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert (await kubelet.admit("pod", GPU)).envs["NVIDIA_VISIBLE_DEVICES"] == "0"
        await kubelet.restart()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        plugin.process.send_signal(signal.SIGHUP)
        await plugin.wait_log("Reloaded the configuration")
        assert await plugin.end(signal.SIGTERM) == 0


async def test_it_finds_cards_through_nvml(program: str, scratch: Path, card: Path, kubelet: KubeletStandin) -> None:
    async with PluginProcess(scratch, "--driver-root", str(card), "--kubelet-socket", str(kubelet.socket),
                             command=[program]) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        assert plugin.process.returncode is None


def test_its_errors_and_help_are_those_of_the_source(program: str) -> None:
    wrong = subprocess.run([program, "--mig-strategy", "mixed"], capture_output=True, text=True, env={}, timeout=60)
    assert wrong.returncode == 2
    assert "'mixed' is not built yet" in wrong.stderr
    usage = subprocess.run([program, "--help"], capture_output=True, text=True, env={}, timeout=60)
    assert usage.returncode == 0
    assert "--kubelet-socket" in usage.stdout
