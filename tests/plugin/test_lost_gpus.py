# SPDX-License-Identifier: MIT
"""Drivers and cards that fail: what can be served is served, and what failed is told."""

import asyncio
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import grpc.aio
import pytest

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin.model import Device, Inventory
from plugin.calls import ask, watched
from plugin.conftest import LOOKING, nvml
from wr_nvidia_k8s.lab.jetson import lay_out
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import SOURCE, PluginProcess

GPU = "nvidia.com/gpu"
UUIDS = [f"GPU-{number}fef8089-4820-abfc-e83e-94318197576e" for number in range(3)]


def on(card: Path, scratch: Path, *flags: str, environ: dict[str, str] | None = None,
       looking: bool = False) -> PluginProcess:
    return PluginProcess(scratch, "--driver-root", str(card), "--kubelet-socket", str(scratch / "kubelet/kubelet.sock"),
                         *flags, command=LOOKING if looking else None,
                         environ={"PYTHONPATH": str(SOURCE), **(environ or {})})


async def test_one_lost_gpu_of_three_costs_the_others_nothing(scratch: Path, card: Path,
                                                              kubelet: KubeletStandin) -> None:
    (scratch / "lost").write_text("1")
    async with on(card, scratch, environ={"NVML_STANDIN_LOST": str(scratch / "lost")}, looking=True) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 2)
        await plugin.wait_log("<4>GPU 1: NVML: GPU is lost")
        await plugin.wait_notified("registered 3 nvidia.com/gpu with the kubelet; .* is unhealthy: NVML: GPU is lost")
        devices = await watched(kubelet.folder)
        assert sorted(device.health for device in devices.values()) == ["Healthy", "Healthy", "Unhealthy"]
        (scratch / "lost").unlink()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        assert set(await watched(kubelet.folder)) == set(UUIDS)


async def test_a_gpu_lost_later_becomes_unhealthy_and_recovers(scratch: Path, card: Path,
                                                               kubelet: KubeletStandin) -> None:
    lost = scratch / "lost"
    async with on(card, scratch, environ={"NVML_STANDIN_LOST": str(lost)}, looking=True) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        lost.write_text("2")
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 2)
        await plugin.wait_log(f"<3>GPU {UUIDS[2]} is unhealthy: NVML: GPU is lost")
        devices = await watched(kubelet.folder)
        assert [devices[name].health for name in UUIDS] == ["Healthy", "Healthy", "Unhealthy"]
        # As a kubelet may that has not heard of it yet.
        with pytest.raises(grpc.aio.AioRpcError, match="cannot be used: NVML: GPU is lost") as refusal:
            await ask(kubelet.folder, "Allocate", api.AllocateRequest(container_requests=[{"devices_ids": UUIDS[1:]}]))
        assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        lost.unlink()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        await plugin.wait_log(f"GPU {UUIDS[2]} is healthy again")
        assert kubelet.registrations == 1


async def test_a_driver_that_stops_answering_takes_its_gpus_with_it(scratch: Path, card: Path,
                                                                    kubelet: KubeletStandin) -> None:
    async with on(card, scratch, looking=True) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        library = card / "usr/lib64/libnvidia-ml.so.1"
        library.rename(library.with_name("away"))
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 0)
        await plugin.wait_log("is healthy again|libnvidia-ml.so.1")
        library.with_name("away").rename(library)
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)


async def test_a_look_that_fails_as_nobody_foresaw_ends_nothing(scratch: Path, card: Path,
                                                               kubelet: KubeletStandin) -> None:
    wrong = scratch / "wrong"
    broken = ("import pathlib, nvidia_device_plugin.platforms.nvml as nvml; real = nvml.inventory; "
              f"nvml.inventory = lambda *a, **b: 1 / 0 if pathlib.Path({str(wrong)!r}).exists() else real(*a, **b); ")
    async with PluginProcess(scratch, "--driver-root", str(card), "--kubelet-socket", str(kubelet.socket),
                             command=[*LOOKING[:2], broken + LOOKING[2]], environ={"PYTHONPATH": str(SOURCE)}):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        wrong.touch()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 0)
        wrong.unlink()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)


def test_a_gpu_that_is_no_longer_listed_stays_as_unhealthy() -> None:
    def device(index: int, name: str, fault: str = "") -> Device:
        return Device(id=name, index=index, visible_as=name, paths=(f"/dev/nvidia{index}",), fault=fault)

    before = Inventory("", (device(0, "a"), device(1, "b"), device(2, "c")))
    now = Inventory("", (device(0, "a"), Device("unreadable-1", 1, "1", fault="lost"))).after(before)
    assert [(one.id, one.health, one.fault) for one in now.devices] == [
        ("a", "Healthy", ""), ("b", "Unhealthy", "lost"), ("c", "Unhealthy", "the driver no longer lists it")]
    assert [one.id for one in Inventory("", before.devices).after(now).devices] == ["a", "b", "c"]


async def test_a_hung_driver_does_not_keep_it_from_ending(scratch: Path, card: Path) -> None:
    async with on(card, scratch, environ={"NVML_STANDIN_INIT": "hang"}) as plugin:
        await plugin.wait_log(r"process \d+ hangs")
        worker = os.pidfd_open(int(re.findall(r"process (\d+) hangs", "\n".join(plugin.log))[0]))
        plugin.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(plugin.process.wait(), 30) == 0
        assert select.select([worker], [], [], 10)[0], "the process that asked the driver is killed with it"
        os.close(worker)


def test_a_worker_that_nobody_kills_ends_by_itself(tmp_path: Path) -> None:
    """As where the plugin itself was killed."""
    nvml(tmp_path, "-DHANG")
    library = str(tmp_path / "usr/lib64/libnvidia-ml.so.1")
    ended = subprocess.run([sys.executable, "-m", "nvidia_device_plugin", "nvml-worker", library, "1"],
                           env={"PYTHONPATH": str(SOURCE)}, capture_output=True, timeout=30)
    assert ended.returncode == -signal.SIGALRM


async def test_what_the_library_prints_does_not_hurt(scratch: Path, card: Path, kubelet: KubeletStandin) -> None:
    shutil.rmtree(card / "usr")
    nvml(card, "-DTALKS")
    async with on(card, scratch) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        await plugin.wait_log("the library talks")


async def test_a_hung_driver_does_not_stop_what_is_served(scratch: Path, card: Path, kubelet: KubeletStandin) -> None:
    """In a reload to a driver that hangs."""
    hanging = scratch / "hanging"
    nvml(hanging, "-DHANG")
    file = scratch / "config.yaml"
    file.write_text(f"flags: {{nvidiaDriverRoot: {card}}}")
    async with PluginProcess(scratch, "--config-file", str(file), "--kubelet-socket", str(kubelet.socket)) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        file.write_text(f"flags: {{nvidiaDriverRoot: {hanging}}}")
        plugin.process.send_signal(signal.SIGHUP)
        await plugin.wait_log("Retrieving plugins", count=2)
        await kubelet.admit("pod", GPU)
        assert await plugin.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("change", ["upgrade", "root"])
async def test_a_reload_asks_the_driver_that_is_there_now(scratch: Path, card: Path, kubelet: KubeletStandin,
                                                          change: str) -> None:
    other = scratch / "other"
    nvml(other, '-DVERSION="999.9"')
    shutil.copytree(card / "dev", other / "dev")
    file = scratch / "config.yaml"
    file.write_text(f"flags: {{nvidiaDriverRoot: {card}}}")
    async with PluginProcess(scratch, "--config-file", str(file), "--kubelet-socket", str(kubelet.socket)) as plugin:
        await plugin.wait_log("NVML devices detected: NVIDIA driver 580.95.05")
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        if change == "root":
            file.write_text(f"flags: {{nvidiaDriverRoot: {other}}}")
        else:
            (other / "usr/lib64/libnvidia-ml.so.1").replace(card / "usr/lib64/libnvidia-ml.so.1")
        plugin.process.send_signal(signal.SIGHUP)
        await plugin.wait_log("NVML devices detected: NVIDIA driver 999.9")
        assert "libnvidia-ml" not in await asyncio.to_thread(Path(f"/proc/{plugin.process.pid}/maps").read_text)


# What NVML calls its first GPU; an Orin's driver for cards does not list the SoC's own.
MIXED = {"listed": {"NVML_STANDIN_NAME": "Orin (nvgpu)"}, "unlisted": {}}
CARDS = {"listed": set(UUIDS[1:]), "unlisted": set(UUIDS)}


@pytest.mark.parametrize(("nvml_has", "strategy", "expected", "left_out"), [
    ("listed", "auto", {"0"}, "discrete GPU NVIDIA L4, NVIDIA L4; deviceDiscoveryStrategy: nvml"),
    ("unlisted", "auto", CARDS["unlisted"], "integrated GPU NVIDIA Jetson.*; deviceDiscoveryStrategy: tegra"),
    ("listed", "both", {"0", *CARDS["listed"]}, ""),
    ("unlisted", "both", {"0", *CARDS["unlisted"]}, ""),
    ("listed", "nvml", set(UUIDS), ""),
    ("listed", "tegra", {"0"}, ""),
])
async def test_a_tegra_with_discrete_cards_offers_what_nvidias_plugin_does_or_both(
        scratch: Path, card: Path, kubelet: KubeletStandin, nvml_has: str, strategy: str, expected: set[str],
        left_out: str) -> None:
    lay_out(card)
    async with on(card, scratch, "--device-discovery-strategy", strategy, environ=MIXED[nvml_has]) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == len(expected))
        assert set(await watched(kubelet.folder)) == expected
        if left_out:
            await plugin.wait_log(f"<4>left out: {left_out} offers it instead, both")
        assert sum("left out" in line for line in plugin.log) == bool(left_out)


async def test_of_both_a_card_is_lost_alone(scratch: Path, card: Path, kubelet: KubeletStandin) -> None:
    lay_out(card)
    library = card / "usr/lib64/libnvidia-ml.so.1"
    async with on(card, scratch, "--device-discovery-strategy", "both", looking=True):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 4)
        assert (await ask(kubelet.folder, "Allocate", api.AllocateRequest(container_requests=[
            {"devices_ids": ["0", UUIDS[0]]}]))).container_responses[0].envs == {
                "NVIDIA_VISIBLE_DEVICES": f"0,{UUIDS[0]}"}
        library.rename(library.with_name("away"))
        await kubelet.wait_for(lambda: kubelet.devices(GPU) == {"0"})
        library.with_name("away").rename(library)
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 4)


@pytest.mark.parametrize("how", ["fails", "goes"])
async def test_a_driver_that_stops_answering_does_not_change_what_the_machine_is(
        scratch: Path, card: Path, kubelet: KubeletStandin, how: str) -> None:
    lay_out(card)
    library = card / "usr/lib64/libnvidia-ml.so.1"
    async with on(card, scratch, looking=True):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
        if how == "fails":
            library.write_text("not a library")
        else:
            library.unlink()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 0)
        assert set(await watched(kubelet.folder)) == set(UUIDS)


async def test_a_tegra_whose_discrete_card_does_not_answer_offers_its_own_gpu(scratch: Path, card: Path,
                                                                              kubelet: KubeletStandin) -> None:
    lay_out(card)
    async with on(card, scratch, environ={"NVML_STANDIN_INIT": "9"}) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        await plugin.wait_log("<4>the discrete GPUs are left out: .*Driver Not Loaded")


@pytest.mark.parametrize("with_files", [False, True])
async def test_thor_is_integrated_with_and_without_l4ts_files(scratch: Path, card: Path, kubelet: KubeletStandin,
                                                             with_files: bool) -> None:
    if with_files:
        lay_out(card)
    async with on(card, scratch, environ={"NVML_STANDIN_NAME": "NVIDIA Thor", "NVML_STANDIN_COUNT": "1"}) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        await plugin.wait_log("Tegra device detected: NVIDIA " + ("Jetson" if with_files else "Thor"))
        assert (await kubelet.admit("pod", GPU)).envs["NVIDIA_VISIBLE_DEVICES"] == "0"


async def test_a_pc_with_a_driver_and_no_card_waits_for_one(scratch: Path, card: Path, kubelet: KubeletStandin) -> None:
    """Its module does not load without a card. Ending would have systemd start it again for ever."""
    shutil.rmtree(card / "sys/bus/pci/devices")
    (card / "sys/bus/pci/devices").mkdir()
    async with on(card, scratch, environ={"NVML_STANDIN_INIT": "9"}) as plugin:
        await plugin.wait_notified("READY=1\nSTATUS=no GPU found, looking again")
        assert sum("no NVIDIA card on the PCI bus" in line for line in plugin.log) <= 2
        assert plugin.process.returncode is None


async def test_a_card_that_comes_later_is_offered(scratch: Path, card: Path, kubelet: KubeletStandin) -> None:
    library = card / "usr/lib64/libnvidia-ml.so.1"
    library.rename(library.with_name("away"))
    async with on(card, scratch, "--fail-on-init-error=false", looking=True) as plugin:
        await plugin.wait_notified("no GPU found")
        library.with_name("away").rename(library)
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 3)
