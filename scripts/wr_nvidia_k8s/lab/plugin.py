# SPDX-License-Identifier: MIT
"""The plugin as systemd starts it: a process with a notification socket, its log read line by line.

Quickstart shows it and the tests measure it by the same means.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import nvidia_device_plugin
from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.common.waiting import within
from wr_nvidia_k8s.lab.jetson import lay_out

SECONDS = 30
SOURCE = Path(nvidia_device_plugin.__file__).parents[1]
"""Where the plugin is imported from: plugin-src in tests, what `lab.plugin_tree` has built elsewhere."""


class PluginError(UserError):
    """The plugin did not say what was expected of it; the text has all that it said."""


class PluginProcess:
    """A running plugin. Use as `async with`; whatever happens, the process is gone afterwards.

    command: what starts the program; None for this source tree's. scratch: a folder for the notification
    socket. on_line: called with each line of the log. log: the lines of stderr so far; notified: the
    sd_notify messages so far.
    """

    def __init__(self, scratch: Path, *flags: str, command: Sequence[str] | None = None,
                 environ: Mapping[str, str] | None = None,
                 on_line: Callable[[str], None] | None = None) -> None:
        self.log: list[str] = []
        self.notified: list[str] = []
        self._command = [*(command or (sys.executable, "-m", "nvidia_device_plugin")), *flags]
        self._notify_path = scratch / f"notify-{id(self):x}.sock"
        self._environ = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(self._notify_path),
                         "PYTHONWARNINGS": "error::DeprecationWarning", **(environ or {})}
        if not command:
            self._environ["PYTHONPATH"] = str(SOURCE)
        self._on_line = on_line
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> PluginProcess:
        loop = asyncio.get_running_loop()
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.setblocking(False)
        self._notify.bind(str(self._notify_path))
        self.process = await asyncio.create_subprocess_exec(*self._command, env=self._environ,
                                                            stderr=asyncio.subprocess.PIPE)
        self._readers = [loop.create_task(self._read_log()), loop.create_task(self._read_notifications())]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await asyncio.gather(self._readers[0], return_exceptions=True)
        self._readers[1].cancel()
        await asyncio.gather(self._readers[1], return_exceptions=True)
        self._notify.close()
        self._notify_path.unlink(missing_ok=True)  # the next one may get its name
        if kind and not self._on_line:
            print(*self.log, *self.notified, sep="\n", file=sys.stderr)

    async def wait_log(self, pattern: str, count: int = 1) -> None:
        """Return once `count` lines of the log match."""
        await self._wait(lambda: sum(bool(re.search(pattern, line)) for line in self.log) >= count,
                         f"{count} log line(s) like {pattern!r}")

    async def wait_notified(self, pattern: str, count: int = 1) -> None:
        """Return once `count` notifications match."""
        await self._wait(lambda: sum(bool(re.search(pattern, text)) for text in self.notified) >= count,
                         f"{count} notification(s) like {pattern!r}")

    async def end(self, number: signal.Signals | None = None) -> int:
        """Send the signal, if any, and return the exit code."""
        if number:
            self.process.send_signal(number)
        code = await within(SECONDS, self.process.wait())
        await self._readers[0]
        return code

    async def _wait(self, condition: Callable[[], bool], what: str) -> None:
        async def until() -> None:
            async with self._changed:
                await self._changed.wait_for(condition)

        waiting = asyncio.create_task(until())
        await asyncio.wait({waiting, self._readers[0]}, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if self._readers[0].done():  # the process has ended; its last notifications may still be on their way
            await asyncio.wait({waiting}, timeout=1)
        if not waiting.done():
            waiting.cancel()
            raise PluginError(f"expected {what}, within {SECONDS} s and before the process ends; "
                                 f"found {self.log + self.notified}")

    async def _read_log(self) -> None:
        assert self.process.stderr  # noqa: S101  # it is a pipe of ours
        async for line in self.process.stderr:
            text = line.decode().rstrip("\n")
            if self._on_line:
                self._on_line(text)
            await self._add(self.log, text)

    async def _read_notifications(self) -> None:
        while True:
            await self._add(self.notified, (await asyncio.get_running_loop().sock_recv(self._notify, 4096)).decode())

    async def _add(self, to: list[str], text: str) -> None:
        async with self._changed:
            to.append(text)
            self._changed.notify_all()


def jetson(scratch: Path, *flags: str, folder: Path | None = None, board: str = "jetson-orin-nano",
           command: Sequence[str] | None = None, environ: Mapping[str, str] | None = None,
           on_line: Callable[[str], None] | None = None) -> PluginProcess:
    """The plugin on a simulated Jetson below `scratch`, with its kubelet folder there, too, or in `folder`."""
    root = lay_out(scratch / "board", board)
    return PluginProcess(scratch, "--driver-root", str(root), "--kubelet-socket",
                         str((folder or scratch / "kubelet") / "kubelet.sock"), *flags,
                         command=command, environ=environ, on_line=on_line)
