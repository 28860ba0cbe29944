# SPDX-License-Identifier: MIT
"""Places where a kubelet ought to be and none answers as one."""

import asyncio
from pathlib import Path

from wr_nvidia_k8s.lab.plugin import jetson


async def test_a_kubelet_that_hangs_up_is_not_taken_for_one_that_registered(scratch: Path) -> None:
    calls = asyncio.Semaphore(0)

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        calls.release()

    (scratch / "kubelet").mkdir()
    async with await asyncio.start_unix_server(hang_up, scratch / "kubelet/kubelet.sock"), jetson(scratch) as plugin:
        for _ in range(12):  # each attempt calls a few times at most
            await asyncio.wait_for(calls.acquire(), 30)
        assert not any("STATUS=registered" in text for text in plugin.notified)


async def test_a_folder_that_cannot_be_made_is_named(scratch: Path) -> None:
    (scratch / "file").touch()
    async with jetson(scratch, folder=scratch / "file/kubelet") as plugin:
        assert await plugin.end() == 1
        assert plugin.log[-1].startswith("<3>expected the folder") and f"{scratch}/file/kubelet" in plugin.log[-1]
