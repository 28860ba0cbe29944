# SPDX-License-Identifier: MIT
"""A node whose environment names a proxy: the kubelet is on the same machine, and is asked without it."""

from pathlib import Path

import pytest

from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import jetson

GPU = "nvidia.com/gpu"


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy"])
async def test_it_registers_all_the_same(scratch: Path, kubelet: KubeletStandin, variable: str) -> None:
    async with jetson(scratch, environ={variable: "http://127.0.0.1:1"}):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
