# SPDX-License-Identifier: MIT
"""Waiting for a limited time, so that an interrupt always gets through.

asyncio.wait_for() is not used for that: before Python 3.12 it swallows a cancellation that comes together with the
result, and Ctrl-C is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float | None, coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result; None waits without a limit. Raises asyncio.TimeoutError, and then it is cancelled."""
    task = asyncio.ensure_future(coroutine)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise asyncio.TimeoutError
    finally:
        task.cancel()
    return task.result()
