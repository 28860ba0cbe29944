# SPDX-License-Identifier: MIT
"""The service manager's protocol: sd_notify(3) and sd_watchdog_enabled(3)."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping

import sdnotify

from nvidia_device_plugin.text import clip

_LONGEST_STATUS = 500
_AGAIN_SECONDS = 0.5


class Notifier:
    """Tells systemd how the service is; silent where systemd did not ask. Never waits for it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        # sdnotify's own notify() waits, and sends Latin-1 only.
        self._socket = sdnotify.SystemdNotifier().socket
        if self._socket:
            self._socket.setblocking(False)
        self._status = ""
        self._unsent = ""
        self._watchdog_seconds = _watchdog_seconds(environ)

    def ready(self, status: str) -> None:
        """The service does its job, or waits for somebody else; `status` says which."""
        if status != self._status:
            self._status = status
            self._send_surely(f"READY=1\nSTATUS={clip(status, _LONGEST_STATUS)}")

    def reloading(self) -> None:
        """A reload began; the next ready() ends it, with the same status, too."""
        self._status = ""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._unsent = ""
        self._send("STOPPING=1\nSTATUS=stopping")

    def close(self) -> None:
        """Say nothing more."""
        if self._socket:
            self._socket.close()
        self._socket = None

    async def watchdog(self) -> None:
        """Ping the watchdog twice per interval until cancelled."""
        while self._watchdog_seconds:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_seconds / 2)

    def _send_surely(self, text: str) -> None:
        """Send it, later where systemd's queue is full; a newer text takes its place."""
        is_waiting = bool(self._unsent)
        self._unsent = "" if self._send(text) else text
        if self._unsent and not is_waiting:
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._again)

    def _again(self) -> None:
        text, self._unsent = self._unsent, ""
        if text:
            self._send_surely(text)

    def _send(self, text: str) -> bool:
        try:
            if self._socket:
                self._socket.send(text.encode(errors="replace"))
        except BlockingIOError:
            return False
        except OSError as error:
            logging.debug("sd_notify: %s", error)
        return True


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0
    text = environ.get("WATCHDOG_USEC", "0")
    try:
        return max(int(text), 0) / 1e6
    except ValueError:
        logging.warning("expected WATCHDOG_USEC to be a number of microseconds, found '%s'; "
                        "the watchdog is not fed", clip(text))
        return 0
