# SPDX-License-Identifier: MIT
"""How the container runtime is told the devices of a pod: by a variable or by mounts."""

import signal
from pathlib import Path

import pytest

from nvidia_device_plugin import config
from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import PluginProcess, jetson

GPU = "nvidia.com/gpu"
FLAG = "--device-list-strategy"
VARIABLE = "DEVICE_LIST_STRATEGY"
# What NVIDIA's container runtime looks for, and what its own plugin answers.
FOLDER = "/var/run/nvidia-container-devices"
Told = tuple[dict[str, str], list[tuple[str, str]]]
BY_VARIABLE: Told = ({"NVIDIA_VISIBLE_DEVICES": "0"}, [])
BY_MOUNT: Told = ({"NVIDIA_VISIBLE_DEVICES": FOLDER}, [(f"{FOLDER}/0", "/dev/null")])


def told(container: api.ContainerAllocateResponse) -> Told:
    """The variables, and the mounts as (where in the container, what of the host)."""
    return dict(container.envs), [(mount.container_path, mount.host_path) for mount in container.mounts]


@pytest.mark.parametrize(("flags", "environ", "expected"), [
    ([], {}, BY_VARIABLE),
    ([FLAG, "volume-mounts"], {}, BY_MOUNT),
    ([], {VARIABLE: "volume-mounts"}, BY_MOUNT),
    ([FLAG, "envvar"], {VARIABLE: "volume-mounts"}, BY_VARIABLE),
    ([FLAG, "envvar,volume-mounts"], {}, BY_MOUNT),
    ([FLAG, "volume-mounts", FLAG, "envvar"], {}, BY_MOUNT),
    ([FLAG, "envvar", FLAG, "volume-mounts"], {}, BY_MOUNT),
], ids=["default", "flag", "variable", "flag over variable", "both", "flag repeated", "the other way round"])
async def test_a_jetsons_gpu_is_told(scratch: Path, kubelet: KubeletStandin, flags: list[str], environ: dict[str, str],
                                     expected: Told) -> None:
    async with jetson(scratch, *flags, environ=environ):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert told(await kubelet.admit("pod", GPU)) == expected


@pytest.mark.parametrize("strategy", ["uuid", "index"])
async def test_cards_are_mounted_under_the_names_that_the_runtime_knows(scratch: Path, card: Path, strategy: str,
                                                                        kubelet: KubeletStandin) -> None:
    names = {"uuid": [f"GPU-{number}fef8089-4820-abfc-e83e-94318197576e" for number in (1, 2)], "index": ["1", "2"]}
    async with PluginProcess(scratch, "--driver-root", str(card), "--kubelet-socket", str(kubelet.socket),
                             FLAG, "volume-mounts", "--device-id-strategy", strategy):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        variables, mounts = told(await kubelet.admit("pod", GPU, count=2))
    assert variables == {"NVIDIA_VISIBLE_DEVICES": FOLDER}
    assert mounts == [(f"{FOLDER}/{name}", "/dev/null") for name in names[strategy]]


async def test_device_specs_come_with_mounts_too(scratch: Path, kubelet: KubeletStandin) -> None:
    async with jetson(scratch, FLAG, "volume-mounts", "--pass-device-specs"):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        container = await kubelet.admit("pod", GPU)
    assert container.mounts and container.devices


async def test_a_reload_changes_how_the_next_pod_is_told(scratch: Path, kubelet: KubeletStandin) -> None:
    file = scratch / "config.yaml"
    file.write_text("flags: {plugin: {deviceListStrategy: envvar}}")
    async with jetson(scratch, "--config-file", str(file)) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert told(await kubelet.admit("before", GPU)) == BY_VARIABLE
        kubelet.remove("before")
        file.write_text("flags: {plugin: {deviceListStrategy: [volume-mounts]}}")
        plugin.process.send_signal(signal.SIGHUP)
        await plugin.wait_log("Reloaded the configuration")
        assert told(await kubelet.admit("after", GPU)) == BY_MOUNT


@pytest.mark.parametrize("text", ["volume-mounts", "[volume-mounts]", "[envvar, volume-mounts]",
                                  "[volume-mounts, envvar, envvar]", "'envvar, volume-mounts'"])
def test_a_file_names_one_or_a_list(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"flags: {{plugin: {{deviceListStrategy: {text}}}}}")
    expected = {"volume-mounts"} | ({"envvar"} if "envvar" in text else set())
    assert config.load({"config-file": str(file)}, {}).device_list_strategy == expected
