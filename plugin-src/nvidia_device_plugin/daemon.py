# SPDX-License-Identifier: MIT
"""The process: signals, reloads, and what systemd is told."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Mapping

from nvidia_device_plugin import __version__, config
from nvidia_device_plugin.config import Settings
from nvidia_device_plugin.device import Platform
from nvidia_device_plugin.discovery import discover
from nvidia_device_plugin.errors import DiscoveryError, PluginError
from nvidia_device_plugin.session import Session
from nvidia_device_plugin.systemd import Notifier

_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Daemon:
    """Runs sessions, one after the other, until a signal ends the process."""

    def __init__(self, flags: Mapping[str, str], environ: Mapping[str, str]) -> None:
        self._flags = flags
        self._environ = environ
        self._notifier = Notifier(environ)
        self._signals: asyncio.Queue[signal.Signals] = asyncio.Queue()

    async def run(self) -> int:
        """The whole life of the process; returns its exit code. Raises PluginError where it cannot run."""
        logging.info("Starting nvidia-device-plugin %s", __version__)
        self._watch_signals()
        settings = config.load(self._flags, self._environ)
        watchdog = asyncio.create_task(self._notifier.watchdog())
        try:
            session: asyncio.Task[None] | None = asyncio.create_task(self._start(settings))
            while session:
                session = await self._supervise(session)
        finally:
            self._notifier.stopping()
            watchdog.cancel()
        return 0

    async def _supervise(self, session: asyncio.Task[None]) -> asyncio.Task[None] | None:
        """Wait for what ends a session; returns the next one, or None at the end."""
        arrival = asyncio.create_task(self._signals.get())
        await asyncio.wait({session, arrival}, return_when=asyncio.FIRST_COMPLETED)
        if session.done():
            arrival.cancel()
            session.result()
            return None
        received = arrival.result()
        if received != signal.SIGHUP:
            logging.info("Received %s, shutting down", received.name)
            await _end(session)
            return None
        logging.info("Received SIGHUP, reading the configuration again")
        try:
            settings = config.load(self._flags, self._environ)
            platform = await asyncio.to_thread(_retrieve, settings)
        except PluginError as error:
            logging.error("%s; the reload changed nothing", error)
            return session
        self._notifier.reloading()
        await _end(session)
        return asyncio.create_task(Session(settings, platform, self._notifier).run())

    async def _start(self, settings: Settings) -> None:
        try:
            # In a thread: a driver that takes its time must not cost us the watchdog.
            platform = await asyncio.to_thread(_retrieve, settings)
        except DiscoveryError as error:
            if settings.fail_on_init_error:
                raise
            logging.error("%s; waiting for SIGHUP", error)
            self._notifier.ready("no GPU found, waiting for SIGHUP")
            await asyncio.Event().wait()
            return
        await Session(settings, platform, self._notifier).run()

    def _watch_signals(self) -> None:
        logging.info("Starting OS watcher")
        loop = asyncio.get_running_loop()
        for number in (*_STOP, signal.SIGHUP):
            loop.add_signal_handler(number, self._signals.put_nowait, number)


def _retrieve(settings: Settings) -> Platform:
    logging.info("Retrieving plugins")
    return discover(settings)


async def _end(session: asyncio.Task[None]) -> None:
    session.cancel()
    await asyncio.gather(session, return_exceptions=True)
