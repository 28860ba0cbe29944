# SPDX-License-Identifier: MIT
# mypy: disable-error-code="import-not-found,misc"
"""Base of the cases in nvidia_k8s.py: they run commands on a node over OE-core's SSH target.

Settings are BitBake variables of the image (testdata.json) or of the test run:

WR_NVIDIA_K8S_ROLE, WR_NVIDIA_K8S_GPU, WR_NVIDIA_K8S_SECURE
    What the image was built for; if they are not set, the board is asked.
WR_NVIDIA_K8S_TEST_TIMEOUT
    The longest single wait, in seconds; 600.
WR_NVIDIA_K8S_TEST_IMAGE
    A container image that runs deviceQuery of NVIDIA's CUDA samples, for the board's architecture and CUDA release.
    Without it that case is skipped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from oeqa.runtime.case import OERuntimeTestCase

GPU = "nvidia.com/gpu"
PLUGIN = "nvidia-device-plugin.service"
_CHECKPOINT = "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint"
_LOST = 255  # ssh's own exit status


class BoardTest(OERuntimeTestCase):
    """A case that runs commands on a node."""

    td: dict[str, Any]
    target: Any
    _unit = ""

    def setting(self, name: str, default: str = "") -> str:
        """A BitBake variable, or ``default`` where it is not set."""
        return str(self.td.get(name) or default)

    @property
    def seconds(self) -> float:
        """The longest single wait, in seconds."""
        return float(self.setting("WR_NVIDIA_K8S_TEST_TIMEOUT", "600"))

    @property
    def unit(self) -> str:
        """k3s, as a server or as an agent."""
        if not self._unit:
            role = self.setting("WR_NVIDIA_K8S_ROLE")
            if not role:
                role = "server" if self.execute("systemctl is-enabled k3s.service")[0] == 0 else "agent"
            # For all cases: a board does not change while it is tested.
            BoardTest._unit = "k3s.service" if role == "server" else "k3s-agent.service"
        return self._unit

    @property
    def is_agent(self) -> bool:
        return self.unit == "k3s-agent.service"

    @property
    def gpu(self) -> str:
        """How the board's GPU is reached: tegra, nvml or simulated."""
        known = self.setting("WR_NVIDIA_K8S_GPU")
        if known:
            return known
        if self.execute("grep -qs nvidia, /proc/device-tree/compatible")[0] == 0:
            return "tegra"
        return "nvml" if self.execute("test -e /proc/driver/nvidia/version")[0] == 0 else "simulated"

    def execute(self, command: str, seconds: float | None = None) -> tuple[int, str]:
        """A command's exit status and output on the board. The case fails if the board does not answer."""
        # OE-core's target looks for programs in the system's folders only; k3s installs kubectl here.
        status, output = self.target.run(f"PATH=$PATH:/usr/local/bin; {command}", int(seconds or self.seconds) + 30)
        if status == _LOST:
            self.fail(f"expected the board to answer: {command}\nssh said: {output}")
        return status, output

    def ask(self, command: str, seconds: float | None = None) -> str:
        """A command's output. The case fails if the command fails."""
        status, output = self.execute(command, seconds)
        if status:
            self.fail(f"expected success of this command: {command}\nexit status {status}, output:\n{output}")
        return output

    def until(self, check: Callable[[], str]) -> str:
        """Call ``check`` until it has no complaint; returns its last complaint when the time is up."""
        end = time.monotonic() + self.seconds
        while (complaint := check()) and time.monotonic() < end:
            time.sleep(1)
        return complaint

    def journal(self, *units: str) -> str:
        """The last words of services, for a failure's message."""
        names = " ".join(f"-u {unit}" for unit in units)
        return f"\njournalctl {names}:\n" + self.execute(f"journalctl --no-pager -n 30 {names}")[1]

    def kubelet_knows_the_gpu(self) -> None:
        """The kubelet's own checkpoint lists the plugin's devices; an agent has this file too."""

        def check() -> str:
            status, text = self.execute(f"cat {_CHECKPOINT}")
            devices = None if status else json.loads(text)["Data"]["RegisteredDevices"].get(GPU)
            return "" if devices else f"expected devices of {GPU} in the kubelet's {_CHECKPOINT}, found: {text}"

        if complaint := self.until(check):
            self.fail(complaint + self.journal(PLUGIN, self.unit))
