# SPDX-License-Identifier: MIT
"""The serving process's side: start the worker, wait for its answer, and give it up when it takes too long."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from nvidia_device_plugin.driver.worker import COMMAND
from nvidia_device_plugin.errors import DiscoveryError
from nvidia_device_plugin.text import clip
from nvidia_device_plugin.waiting import happens

# A driver without its persistence daemon initialises each card anew, some seconds each.
DEADLINE_SECONDS = 40


class NvmlError(DiscoveryError):
    """NVML answered, and the answer was an error. code: its nvmlReturn_t, None where it did not load."""

    def __init__(self, text: str, code: int | None) -> None:
        super().__init__(text)
        self.code = code


class _Output(asyncio.SubprocessProtocol):
    """Gathers what the worker writes, until it has ended."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = asyncio.Event()

    def pipe_data_received(self, _fd: int, data: bytes) -> None:
        self.data += data

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set()


async def ask(library: Path) -> dict[str, Any]:
    """What the worker found with this library. Raises DiscoveryError, as NvmlError where NVML gave the reason.

    Cancelling it kills the worker without waiting for its end: a process stuck in the kernel has none.
    """
    try:
        transport, output = await asyncio.get_running_loop().subprocess_exec(
            _Output, *_command(), str(library), str(DEADLINE_SECONDS + 5), stdin=None, stderr=None, env=_environment())
    except OSError as error:
        raise DiscoveryError(f"expected to start a process that asks NVML, found: {error}") from error
    try:
        if not await happens(output.ended, DEADLINE_SECONDS):
            raise DiscoveryError(f"expected {library} to answer within {DEADLINE_SECONDS} s, it hangs; "
                                 f"check that nvidia-smi works, and the kernel's log for the driver")
    finally:
        transport.close()
    return _answer(bytes(output.data), transport.get_returncode(), library)


def _answer(output: bytes, code: int | None, library: Path) -> dict[str, Any]:
    try:
        answer = json.loads(output)
        if not isinstance(answer, dict):
            raise ValueError("no object")
    except ValueError as error:
        ended = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        raise DiscoveryError(f"expected {library} to answer, the process that asked it ended with {ended} "
                             f"and {clip(repr(output))}; check that nvidia-smi works") from error
    if "error" in answer:
        raise NvmlError(f"expected {library} to start, found: {answer['error']}; "
                        f"check that the kernel module is loaded (nvidia-smi)", answer.get("code"))
    return answer


def _command() -> list[str]:
    if getattr(sys, "frozen", False):
        return [sys.executable, COMMAND]
    return [sys.executable, "-m", "nvidia_device_plugin", COMMAND]


def _environment() -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    if not getattr(sys, "frozen", False):
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    return environ
