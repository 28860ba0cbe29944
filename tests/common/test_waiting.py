# SPDX-License-Identifier: MIT
"""Waiting for a limited time."""

import asyncio

import pytest

from wr_nvidia_k8s.common.waiting import within


def test_an_interrupt_that_comes_with_the_result_is_not_lost() -> None:
    async def main() -> None:
        event = asyncio.Event()
        waiting = asyncio.create_task(within(60, event.wait()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        event.set()
        await asyncio.sleep(0)  # the result is there, and nobody has been told
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())


def test_what_takes_too_long_is_ended() -> None:
    ended = []

    async def sleeper() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await within(0.01, sleeper())
        await asyncio.sleep(0)

    asyncio.run(main())
    assert ended


def test_a_result_and_an_error_come_through() -> None:
    async def fails() -> None:
        raise ValueError("why")

    async def main() -> None:
        assert await within(None, asyncio.sleep(0, "there")) == "there"
        with pytest.raises(ValueError, match="why"):
            await within(5, fails())

    asyncio.run(main())
