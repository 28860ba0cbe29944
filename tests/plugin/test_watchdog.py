# SPDX-License-Identifier: MIT
"""What systemd's watchdog is told, and how often."""

import time
from pathlib import Path

from wr_nvidia_k8s.lab.plugin import jetson

INTERVAL_SECONDS = 2.0


async def test_pings_come_twice_per_interval(scratch: Path) -> None:
    """As sd_watchdog_enabled(3) recommends: pinged at the full interval, a busy board is killed now and then.

    A loaded machine makes pings late, never early. So the gap that is waited for shows that they are meant to be
    as close, and no gap can show that they are too far apart.
    """
    async with jetson(scratch, environ={"WATCHDOG_USEC": str(int(INTERVAL_SECONDS * 1e6))}) as plugin:
        await plugin.wait_notified("WATCHDOG=1")
        before = time.monotonic()
        for count in range(2, 8):
            await plugin.wait_notified("WATCHDOG=1", count=count)
            gap, before = time.monotonic() - before, time.monotonic()
            if gap < 0.75 * INTERVAL_SECONDS:
                return
    raise AssertionError(f"expected a ping within {0.75 * INTERVAL_SECONDS} s of the one before, found none in {count}")
