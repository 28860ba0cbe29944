# SPDX-License-Identifier: MIT
"""Measurements of the plugin: time until it serves, memory, and response times."""

from __future__ import annotations

import asyncio
import statistics
import time

import grpc.aio

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin import rpc
from wr_nvidia_k8s.common.scratch import temporary
from wr_nvidia_k8s.lab import go_client, nodes
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import jetson
from wr_nvidia_k8s.lab.proc import cpu, memory, percentile, wakeups

GPU = "nvidia.com/gpu"


async def measure(command: list[str] | None, starts: int, calls: int, idle_seconds: float) -> dict[str, float]:
    """Start the program `starts` times, call it `calls` times, watch it while idle. Units: ms, KiB, us.

    command: None for this source tree's. The calls are made from Python and, where there is a Go, from Go.
    """
    started, restarted = [], []
    with temporary("bench-", nodes.SOCKET_BYTES) as scratch:
        kubelet = KubeletStandin(scratch / "kubelet")
        await kubelet.start()
        for _ in range(starts):
            expected, begin = kubelet.registrations + 1, time.perf_counter()
            async with jetson(scratch, command=command):
                await _registered(kubelet, expected)
                started.append((time.perf_counter() - begin) * 1e3)
        async with jetson(scratch, command=command) as plugin:
            await _registered(kubelet, kubelet.registrations + 1)
            await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
            for _ in range(starts):
                expected = kubelet.registrations + 1
                await kubelet.stop()
                await kubelet.start()
                begin = time.perf_counter()  # it listens
                await _registered(kubelet, expected)
                restarted.append((time.perf_counter() - begin) * 1e3)
            await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
            settled = memory(plugin.process.pid)
            latencies, from_go = await _allocate(kubelet, calls), await _allocate_from_go(kubelet, calls)
            loaded, before = memory(plugin.process.pid), cpu(plugin.process.pid)
            woken = wakeups(plugin.process.pid)
            await asyncio.sleep(idle_seconds)
            idle = (cpu(plugin.process.pid) - before) * 1e3
            woken = wakeups(plugin.process.pid) - woken
        await kubelet.stop()
    return {
        "spawn_to_registered_ms_median": statistics.median(started), "spawn_to_registered_ms_max": max(started),
        "kubelet_restart_to_registered_ms_median": statistics.median(restarted),
        "kubelet_restart_to_registered_ms_p99": percentile(restarted, 99),
        "kubelet_restart_to_registered_ms_max": max(restarted),
        "rss_settled_kib": settled, "rss_after_load_kib": loaded,
        "allocate_us_median": statistics.median(latencies),
        "allocate_us_p99": percentile(latencies, 99),
        **({"allocate_go_us_median": statistics.median(from_go),
            "allocate_go_us_p99": percentile(from_go, 99)} if from_go else {}),
        "idle_cpu_ms": idle, "idle_seconds": idle_seconds,
        "idle_wakeups_per_second": woken / idle_seconds if idle_seconds else 0,
    }


async def _registered(kubelet: KubeletStandin, count: int) -> None:
    await kubelet.wait_for(lambda: kubelet.registrations >= count)


def _request(kubelet: KubeletStandin) -> api.AllocateRequest:
    return api.AllocateRequest(container_requests=[{"devices_ids": sorted(kubelet.devices(GPU))[:1]}])


async def _allocate_from_go(kubelet: KubeletStandin, calls: int) -> list[float]:
    client = await asyncio.to_thread(go_client.program)
    if not client:
        return []
    return await asyncio.to_thread(go_client.latencies, client, kubelet.folder / "nvidia-gpu.sock",
                                   f"/{rpc.DEVICE_PLUGIN}/Allocate", _request(kubelet).SerializeToString(), calls)


async def _allocate(kubelet: KubeletStandin, calls: int) -> list[float]:
    request, latencies = _request(kubelet), []
    async with grpc.aio.insecure_channel(f"unix:{kubelet.folder}/nvidia-gpu.sock") as channel:
        allocate = rpc.call(channel, rpc.DEVICE_PLUGIN, "Allocate")
        for _ in range(calls):
            begin = time.perf_counter()
            await allocate(request)
            latencies.append((time.perf_counter() - begin) * 1e6)
    return latencies
