# SPDX-License-Identifier: MIT
"""What systemd is told of a reload."""

import re
import signal
import time
from pathlib import Path

from wr_nvidia_k8s.lab.plugin import jetson


async def test_a_reload_says_when_it_began(scratch: Path) -> None:
    """In microseconds of CLOCK_MONOTONIC: systemd waits for a RELOADING=1 that is younger than its SIGHUP."""
    async with jetson(scratch) as plugin:
        await plugin.wait_notified("READY=1")
        sent = time.monotonic_ns() // 1000
        plugin.process.send_signal(signal.SIGHUP)
        await plugin.wait_notified("RELOADING=1")
        received = time.monotonic_ns() // 1000
        (began,) = re.findall(r"^MONOTONIC_USEC=(\d+)$", "\n".join(plugin.notified), re.MULTILINE)
    assert sent <= int(began) <= received
