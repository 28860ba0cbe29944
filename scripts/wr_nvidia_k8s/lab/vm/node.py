# SPDX-License-Identifier: MIT
"""Reports the node's resources in the virtual machine's journal, one JSON object per line: {"nvidia.com/gpu": 1}.

    python3 -m wr_nvidia_k8s.lab.vm.node standin DIR   be the kubelet's device manager in DIR
    python3 -m wr_nvidia_k8s.lab.vm.node watch DIR     follow what a real kubelet writes down in DIR

It runs in the virtual machine.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

from asyncinotify import Inotify, Mask
from sdnotify import SystemdNotifier

from wr_nvidia_k8s.lab.kubelet.standin import CHECKPOINT, KubeletStandin


def _tell(capacity: dict[str, int]) -> None:
    print(json.dumps(capacity), flush=True)


async def standin(folder: Path) -> None:
    """Serve as a kubelet does, and say so to systemd, until SIGTERM."""
    kubelet = KubeletStandin(folder)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await kubelet.start()
    SystemdNotifier().notify("READY=1")
    told = asyncio.create_task(_tell_changes(kubelet))
    await stopped.wait()
    told.cancel()
    await kubelet.stop()


async def _tell_changes(kubelet: KubeletStandin) -> None:
    known: dict[str, int] = {}

    def has_news() -> bool:
        return bool(kubelet.state()["capacity"] != known)

    while True:
        await kubelet.wait_for(has_news, None)
        known = kubelet.state()["capacity"]
        _tell(known)


async def watch(folder: Path) -> None:
    """Report each state that the kubelet writes, until cancelled."""
    checkpoint = folder / CHECKPOINT
    with Inotify() as events:
        events.add_watch(folder, Mask.MOVED_TO | Mask.CLOSE_WRITE)
        # One from before the boot says nothing about now: the kubelet reads it, and leaves it as it is until a
        # plugin comes.
        if checkpoint.exists() and checkpoint.stat().st_mtime > time.time() - time.clock_gettime(time.CLOCK_BOOTTIME):
            _tell(_capacity(checkpoint))
        async for event in events:
            if str(event.name) == CHECKPOINT:
                _tell(_capacity(checkpoint))


def _capacity(checkpoint: Path) -> dict[str, int]:
    """pkg/kubelet/cm/devicemanager/checkpoint of Kubernetes: Data.RegisteredDevices has the healthy ones' IDs."""
    registered = json.loads(checkpoint.read_text(encoding="utf-8"))["Data"]["RegisteredDevices"] or {}
    return {resource: len(devices) for resource, devices in registered.items()}


if __name__ == "__main__":
    asyncio.run({"standin": standin, "watch": watch}[sys.argv[1]](Path(sys.argv[2])))
