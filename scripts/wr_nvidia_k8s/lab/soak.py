# SPDX-License-Identifier: MIT
"""The plugin under what a node's life brings, for long: restarts of the kubelet, requests of any kind, reloads.

Each phase notes what went wrong instead of stopping there, so that one run tells all.
"""

from __future__ import annotations

import asyncio
import random
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin import rpc
from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.common.scratch import temporary
from wr_nvidia_k8s.lab import nodes
from wr_nvidia_k8s.lab.kubelet.unsteady import BAD, UnsteadyKubelet
from wr_nvidia_k8s.lab.plugin import PluginProcess, jetson
from wr_nvidia_k8s.lab.proc import descriptors, memory, percentile

GPU = "nvidia.com/gpu"
RELOADS_PER_HOUR = 60
# What one may be late for: 3 s until a kubelet that does not follow is asked again, and a slow machine.
_LOST_SECONDS = 60
_AT_ONCE = 32
# The statuses that a request may be answered with that is nonsense.
_PROPER = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED,
           grpc.StatusCode.RESOURCE_EXHAUSTED}
# gRPC's and the allocator's pools settle, and a connection may be about to close. What leaks shows in a long run:
# 8 bytes of each of a million requests are more.
_SPARE_KIB, _SPARE_DESCRIPTORS = 6144, 8
_WRONG_FILES = ("flags: [", "flags: {deviceDiscoveryStrategy: none}", "version: v2", "\0")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much of each. stall_seconds: the longest that a registration or an answer may take."""

    restarts: int
    requests: int
    hours: float
    stall_seconds: float
    seed: int


@dataclass
class Result:
    """figures: by name, in the units that end the names. failures: what must not be; empty where all is well."""

    figures: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


async def soak(command: Sequence[str] | None, plan: Plan, say: Say) -> Result:
    """All phases with one process of the plugin. command: None for this source tree's."""
    result, dice = Result(), random.Random(plan.seed)  # a run is to be repeatable
    with temporary("soak-", nodes.SOCKET_BYTES) as scratch:
        kubelet = UnsteadyKubelet(scratch / "kubelet", dice)
        file = scratch / "config.yaml"
        file.write_text("version: v1\n", encoding="utf-8")

        def on_line(line: str) -> None:
            if "Traceback" in line or line.startswith("<2>"):
                result.failures.append(f"in the log: {line}")

        try:
            await kubelet.start()
            async with jetson(scratch, "--config-file", str(file), command=command, on_line=on_line) as plugin:
                await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1, _LOST_SECONDS)
                run = _Run(plan, result, dice, kubelet, plugin, file, say)
                for phase, count in ((run.restart, plan.restarts), (run.ask, plan.requests),
                                     (run.reload, round(plan.hours * RELOADS_PER_HOUR))):
                    await run.phase(phase.__name__, phase, count)
                if plugin.process.returncode is None and await plugin.end(signal.SIGTERM):
                    result.failures.append("expected it to end with 0 at SIGTERM")
        finally:
            await kubelet.stop()
    return result


@dataclass
class _Run:
    plan: Plan
    result: Result
    dice: random.Random
    kubelet: UnsteadyKubelet
    plugin: PluginProcess
    file: Path
    say: Say
    answers: Counter[str] = field(default_factory=Counter)

    async def phase(self, name: str, step: Callable[[int], Any], count: int) -> None:
        """So many steps, in parts: the first one warms up, and from then on nothing may grow."""
        if not count:
            return
        times: list[float] = []
        parts = min(10, count)
        before = (0, 0)
        for part in range(parts):
            share = count * (part + 1) // parts - count * part // parts
            try:
                times += await step(share)
            except (asyncio.TimeoutError, UserError, grpc.aio.AioRpcError) as error:
                self.result.failures.append(f"{name}: {type(error).__name__}: {error}")
                return
            held = await self._held()
            before = before if part else held
            self.plugin.log.clear()
            self.plugin.notified.clear()
            self.say(f"{name}: {count * (part + 1) // parts} of {count}, worst {max(times) * 1e3:.0f} ms, "
                     f"{held[0]} descriptors, {held[1]} KiB")
        figures = {"count": count, "ms_median": statistics.median(times) * 1e3, "ms_p99": percentile(times, 99) * 1e3,
                   "ms_max": max(times) * 1e3, "descriptors_before": before[0], "descriptors_after": held[0],
                   "rss_before_kib": before[1], "rss_after_kib": held[1]}
        self.result.figures.update({f"{name}_{key}": value for key, value in figures.items()})
        if max(times) > self.plan.stall_seconds:
            self.result.failures.append(f"{name}: expected nothing above {self.plan.stall_seconds} s, "
                                        f"found {max(times):.3f} s")
        for now, then, spare, what in zip(held, before, (_SPARE_DESCRIPTORS, _SPARE_KIB), ("descriptors", "KiB"),
                                          strict=True):
            if now > then + spare:
                self.result.failures.append(f"{name}: expected at most {then + spare} {what}, found {now}")

    async def restart(self, count: int) -> list[float]:
        """Kubelets that come and go; how long after its listen() each was registered with, in seconds."""
        times = []
        for _ in range(count):
            await self.kubelet.stop()
            while self.dice.random() < 0.3:
                await self.kubelet.be(self.dice.choice(BAD), self.dice.uniform(0, 0.2))
            expected, said = self.kubelet.registrations + 1, len(self.plugin.log)
            await self.kubelet.start()
            began = time.perf_counter()
            await self._registered(expected)
            times.append(time.perf_counter() - began)
            if times[-1] > self.plan.stall_seconds:
                self.result.failures.append(f"restart: registered after {times[-1]:.3f} s; the plugin's log meanwhile: "
                                            f"{' | '.join(self.plugin.log[said:])}")
            await self.kubelet.wait_for(lambda: self.kubelet.capacity(GPU) == 1, _LOST_SECONDS)
        return times

    async def _registered(self, count: int) -> None:
        await self.kubelet.wait_for(lambda: self.kubelet.registrations >= count, _LOST_SECONDS)

    async def ask(self, count: int) -> list[float]:
        """Requests of any kind; how long each was answered after, in seconds, of those that are asked alone."""
        registrations, times = self.kubelet.registrations, []
        async with grpc.aio.insecure_channel(f"unix:{self.kubelet.folder}/nvidia-gpu.sock",
                                             options=[("grpc.max_send_message_length", -1)]) as channel:
            while count > 0:
                await asyncio.gather(*(self._ask_nonsense(channel) for _ in range(min(_AT_ONCE, count))))
                count -= _AT_ONCE
                began = time.perf_counter()
                request = api.AllocateRequest(container_requests=[{"devices_ids": ["0"]}])
                answer = await rpc.call(channel, rpc.DEVICE_PLUGIN, "Allocate")(request, timeout=_LOST_SECONDS)
                times.append(time.perf_counter() - began)
                if answer.container_responses[0].envs["NVIDIA_VISIBLE_DEVICES"] != "0":
                    self.result.failures.append(f"ask: expected NVIDIA_VISIBLE_DEVICES=0, found {answer}")
        self._expect_known("ask", registrations)
        return times

    async def reload(self, count: int) -> list[float]:
        """Configurations, every fourth of them wrong; how long each took, in seconds."""
        registrations, times = self.kubelet.registrations, []
        for number in range(count):
            is_wrong = number % 4 == 3
            text = self.dice.choice(_WRONG_FILES) if is_wrong else \
                f"version: v1\nflags: {{plugin: {{passDeviceSpecs: {str(number % 2 == 0).lower()}}}}}\n"
            self.file.write_text(text, encoding="utf-8")
            done = "the reload changed nothing" if is_wrong else "Reloaded the configuration"
            self.plugin.log.clear()
            began = time.perf_counter()
            self.plugin.process.send_signal(signal.SIGHUP)
            await self.plugin.wait_log(done)
            await self.kubelet.admit("pod", GPU)
            times.append(time.perf_counter() - began)
            self.kubelet.remove("pod")
        self._expect_known("reload", registrations)
        return times

    def _expect_known(self, name: str, registrations: int) -> None:
        if self.kubelet.registrations != registrations or self.kubelet.capacity(GPU) != 1:
            self.result.failures.append(f"{name}: expected the kubelet to follow as before, found "
                                        f"{self.kubelet.registrations - registrations} new registration(s) and "
                                        f"{self.kubelet.capacity(GPU)} GPU(s)")

    async def _ask_nonsense(self, channel: grpc.aio.Channel) -> None:
        method, data = self._nonsense()
        call: Any = channel.unary_unary(f"/{rpc.DEVICE_PLUGIN}/{method}", None, None)
        try:
            await call(data, timeout=_LOST_SECONDS)
            code = grpc.StatusCode.OK
        except grpc.aio.AioRpcError as error:
            code = error.code()
        if code not in _PROPER:
            self.result.failures.append(f"ask: {method} of {len(data)} bytes was answered {code.name}")

    def _nonsense(self) -> tuple[str, bytes]:
        dice = self.dice
        method = dice.choice(("Allocate", "Allocate", "GetPreferredAllocation", "PreStartContainer",
                              "GetDevicePluginOptions", "NoSuchMethod"))
        kind = dice.random()
        if kind < 0.3:
            return method, dice.randbytes(dice.choice((0, 1, 7, 100, 5000)))
        if kind < 0.302:
            return method, b"\n" * (1 << 20)
        ids = [dice.choice(("0", "0", "1", "", "x" * dice.randrange(1, 9000), "\0", "GPU-\N{SNOWMAN}"))
               for _ in range(dice.choice((0, 1, 1, 2, 50)))]
        if method == "GetPreferredAllocation":
            preferred = api.PreferredAllocationRequest()
            preferred.container_requests.add(available_deviceIDs=ids, must_include_deviceIDs=ids[:dice.randrange(3)],
                                             allocation_size=dice.choice((-1, 0, 1, 2, 2**31 - 1)))
            return method, preferred.SerializeToString()
        if method == "PreStartContainer":
            return method, api.PreStartContainerRequest(devices_ids=ids).SerializeToString()
        asked = api.AllocateRequest(container_requests=[{"devices_ids": ids}] * dice.choice((0, 1, 1, 3)))
        data = asked.SerializeToString()
        return method, data[:dice.randrange(len(data) + 1)] if kind > 0.9 else data

    async def _held(self) -> tuple[int, int]:
        """Descriptors and KiB, once connections of the phase are closed on both sides."""
        pid, held = self.plugin.process.pid, descriptors(self.plugin.process.pid)
        for _ in range(20):
            await asyncio.sleep(0.05)
            held = min(held, descriptors(pid))
        return held, memory(pid)
