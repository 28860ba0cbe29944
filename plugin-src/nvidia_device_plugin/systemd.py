# SPDX-License-Identifier: MIT
"""The service manager's protocol: sd_notify(3) and sd_watchdog_enabled(3)."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping

import sdnotify


class Notifier:
    """Tells systemd how the service is; silent where systemd did not ask."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._notifier = sdnotify.SystemdNotifier()
        self._status = ""
        addressed = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._watchdog_seconds = int(environ.get("WATCHDOG_USEC", "0")) / 1e6 if addressed else 0.0

    def ready(self, status: str) -> None:
        """The service does its job, or waits for somebody else; `status` says which."""
        if status != self._status:
            self._status = status
            self._notifier.notify(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """A reload began; the next ready() ends it."""
        self._status = ""
        self._notifier.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._notifier.notify("STOPPING=1\nSTATUS=stopping")

    async def watchdog(self) -> None:
        """Say that the event loop lives, twice within each interval that systemd set; for ever."""
        while self._watchdog_seconds:
            self._notifier.notify("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_seconds / 2)
