# SPDX-License-Identifier: MIT
"""Waiting for an event for a limited time.

asyncio.wait_for() is not used for that: before Python 3.12 it swallows a cancellation that comes together with the
event, and whoever cancelled waits for ever.
"""

from __future__ import annotations

import asyncio


async def happens(event: asyncio.Event, seconds: float | None) -> bool:
    """Whether the event was set within the time; None waits without a limit."""
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({waiting}, timeout=seconds)
    finally:
        waiting.cancel()
    return event.is_set()
