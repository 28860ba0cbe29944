# SPDX-License-Identifier: MIT
"""A kubelet whose every start takes its time at another step, and others that take a connection and do no good."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path

from wr_nvidia_k8s.lab.kubelet.standin import CHECKPOINT, KubeletStandin

BAD = ("hung", "garbage", "reset")
_LONGEST_PAUSE_SECONDS = 0.1
_GARBAGE = 4096


class UnsteadyKubelet(KubeletStandin):
    """The stand-in behind a socket that is bound and listens when it likes.

    gRPC binds and listens in one step, so it does that outside of the folder, and what comes in is passed on to it.
    """

    def __init__(self, folder: Path, dice: random.Random) -> None:
        super().__init__(folder)
        self._dice = dice
        self._behind = folder.parent / "behind.sock"
        self._front: asyncio.Server | None = None
        self._peers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start; on return it has just begun to listen."""
        self._behind.unlink(missing_ok=True)
        await self._serve(self._behind)
        await self._open("well")

    async def be(self, kind: str, seconds: float) -> None:
        """For so long, be a kubelet of a `BAD` kind, which a proper one replaces."""
        await self._open(kind)
        await asyncio.sleep(seconds)
        await self._close()

    async def stop(self) -> None:
        await self._close()
        await super().stop()

    async def _open(self, kind: str) -> None:
        self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        entries = list(self.folder.iterdir())
        self._dice.shuffle(entries)
        for entry in entries:
            if entry.name != CHECKPOINT and not entry.is_dir():
                entry.unlink(missing_ok=True)
                await self._pause()
        self.socket.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.socket))
        await self._pause()
        self._front = await asyncio.start_unix_server(getattr(self, f"_{kind}"), sock=listener)

    async def _pause(self) -> None:
        await asyncio.sleep(self._dice.choice((0, 0, self._dice.uniform(0, _LONGEST_PAUSE_SECONDS))))

    async def _close(self) -> None:
        if self._front:
            self._front.close()
        for peer in list(self._peers):
            peer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._front = None

    async def _well(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._counted(writer):
            there, back = await asyncio.open_unix_connection(str(self._behind))
            with self._counted(back):
                await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))

    async def _hung(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._counted(writer):
            await reader.read()

    async def _garbage(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._counted(writer), contextlib.suppress(OSError):
            writer.write(self._dice.randbytes(_GARBAGE))
            await reader.read()

    async def _reset(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    @contextlib.contextmanager
    def _counted(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        task = asyncio.current_task()
        self._peers.add(writer)
        if task:
            self._tasks.add(task)
        try:
            yield
        finally:
            self._peers.discard(writer)
            if task:
                self._tasks.discard(task)
            writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
