# SPDX-License-Identifier: MIT
"""A node for the plugin: with the real kubelet if it can run here, otherwise with the stand-in.

Both have the same interface, so a demonstration reads the same on either.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path

from wr_nvidia_k8s.common.errors import HostError
from wr_nvidia_k8s.lab.kubelet import real
from wr_nvidia_k8s.lab.kubelet.real import RealKubelet
from wr_nvidia_k8s.lab.kubelet.standin import AdmissionError, KubeletStandin

SOCKET_BYTES = len("/wr-kubelet-12345678/kubelet/device-plugins/") + 24
"""At most, of a socket's path below TMPDIR: the plugin's, in the folder of a real kubelet."""


class Node(ABC):
    """One node with one kubelet. Use as `async with`."""

    name: str
    socket: Path

    async def __aenter__(self) -> Node:
        try:
            await self.start()
        except BaseException:  # interrupted, too: a thread goes on starting
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def stop(self) -> None: ...

    @abstractmethod
    async def restart(self) -> None: ...

    @abstractmethod
    async def has(self, resource: str, count: int) -> None:
        """Return once the node has that many; raises TimeoutError or KubeletError if that does not happen."""

    @abstractmethod
    async def run_pod(self, pod: str, resource: str) -> dict[str, str]:
        """Start a pod that asks for one; the NVIDIA variables it gets. Raises AdmissionError."""

    @abstractmethod
    async def remove_pod(self, pod: str) -> None: ...


class StandinNode(Node):
    """The stand-in for the kubelet's device manager."""

    name = "a stand-in for the kubelet (as root, scripts/build-kubelet makes the real one)"

    def __init__(self, scratch: Path) -> None:
        self._kubelet = KubeletStandin(scratch / "kubelet")
        self.socket = self._kubelet.socket

    async def start(self) -> None:
        await self._kubelet.start()

    async def stop(self) -> None:
        await self._kubelet.stop()

    async def restart(self) -> None:
        await self._kubelet.restart()

    async def has(self, resource: str, count: int) -> None:
        await self._kubelet.wait_for(lambda: self._kubelet.capacity(resource) == count)

    async def run_pod(self, pod: str, resource: str) -> dict[str, str]:
        return dict((await self._kubelet.admit(pod, resource)).envs)

    async def remove_pod(self, pod: str) -> None:
        self._kubelet.remove(pod)


class RealNode(Node):
    """A real kubelet over a real containerd, in namespaces of its own."""

    name = "a real kubelet over containerd"

    def __init__(self) -> None:
        self._kubelet = RealKubelet()

    async def start(self) -> None:
        await asyncio.to_thread(self._kubelet.start)
        self.socket = self._kubelet.socket

    async def stop(self) -> None:
        await asyncio.to_thread(self._kubelet.stop)

    async def restart(self) -> None:
        await asyncio.to_thread(self._kubelet.restart)

    async def has(self, resource: str, count: int) -> None:
        await asyncio.to_thread(self._kubelet.wait, lambda: self._kubelet.capacity(resource) == count,
                                f"{resource}: {count}")

    async def run_pod(self, pod: str, resource: str) -> dict[str, str]:
        command = ["sh", "-c", "env; trap 'exit 0' TERM; while :; do sleep 1 & wait; done"]
        status = await asyncio.to_thread(self._kubelet.run_pod, pod, command, {resource: 1})
        if not status.running:
            raise AdmissionError(f"{status.reason}: {status.message}")
        await asyncio.to_thread(self._kubelet.wait, lambda: "PATH=" in self._kubelet.output(pod), f"{pod}'s output")
        lines = self._kubelet.output(pod).splitlines()
        return dict(line.split("=", 1) for line in lines if line.startswith("NVIDIA_"))

    async def remove_pod(self, pod: str) -> None:
        await asyncio.to_thread(self._kubelet.remove_pod, pod)


def best(scratch: Path) -> Node:
    """The most real node that this machine can run without building anything first. Raises HostError."""
    if real.unavailable():
        return StandinNode(scratch)
    for hidden in real.HIDDEN:
        if scratch.resolve().is_relative_to(hidden):
            raise HostError(f"TMPDIR: expected a folder outside of {hidden}, which is not what it is where a real "
                            f"kubelet runs, found {scratch.parent}; set TMPDIR to another one, such as /tmp")
    return RealNode()
