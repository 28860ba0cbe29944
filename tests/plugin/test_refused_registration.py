# SPDX-License-Identifier: MIT
"""A kubelet that refuses the plugin: asked again, ever less often, until it accepts or another one comes."""

import re
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import PluginProcess, jetson

GPU = "nvidia.com/gpu"


class Refusing(KubeletStandin):
    """A kubelet that answers its next `refusals` registrations with `words`."""

    words = "busy"
    refusals = 0

    async def Register(self, request: api.RegisterRequest, context: grpc.aio.ServicerContext[Any, Any]) -> api.Empty:
        if self.refusals:
            self.refusals -= 1
            await context.abort(grpc.StatusCode.UNKNOWN, self.words)
        return await super().Register(request, context)


def pauses(plugin: PluginProcess, words: str) -> list[float]:
    """The seconds that the plugin says it waits after each refusal in these words."""
    return [float(re.findall(r"\b([\d.]+) s\b", line)[-1]) for line in plugin.log if words in line]


async def test_is_registered_as_soon_as_the_kubelet_accepts(scratch: Path) -> None:
    kubelet = Refusing(scratch / "kubelet")
    kubelet.refusals = 2
    await kubelet.start()
    async with jetson(scratch) as plugin:
        await plugin.wait_log("<3>.*UNKNOWN: busy")
        await plugin.wait_notified("READY=1\nSTATUS=.*refused.*busy")
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert kubelet.refusals == 0
        await plugin.wait_notified("STATUS=registered")
    await kubelet.stop()


async def test_a_new_kubelet_is_not_made_to_wait_for_what_its_predecessor_refused(scratch: Path) -> None:
    kubelet = Refusing(scratch / "kubelet")
    kubelet.refusals = 1_000
    await kubelet.start()
    async with jetson(scratch) as plugin:
        await plugin.wait_log("UNKNOWN: busy", count=2)
        first, second, *_ = pauses(plugin, "UNKNOWN: busy")
        assert 0 < first < second, "less and less often"
        await kubelet.stop()
        kubelet.words = "starting"
        await kubelet.start()
        await plugin.wait_log("UNKNOWN: starting")
        assert pauses(plugin, "UNKNOWN: starting")[0] == first
        kubelet.refusals = 0
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
    await kubelet.stop()
