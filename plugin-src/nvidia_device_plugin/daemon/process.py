# SPDX-License-Identifier: MIT
"""The life of the process: look at the machine, offer what is there, look again, reload, end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Mapping

from nvidia_device_plugin import __version__, config
from nvidia_device_plugin.config import Settings
from nvidia_device_plugin.daemon.supervisor import Supervisor
from nvidia_device_plugin.daemon.systemd import Notifier
from nvidia_device_plugin.errors import DiscoveryError, PluginError
from nvidia_device_plugin.model import Inventory
from nvidia_device_plugin.platforms.detect import discover
from nvidia_device_plugin.resources.plan import plan
from nvidia_device_plugin.state.store import Store

_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

# How often a driver's GPUs are looked at: one process of some 50 ms each time.
LOOK_SECONDS = 30.0


class Daemon:
    """Runs until a signal ends the process."""

    def __init__(self, flags: Mapping[str, str], environ: Mapping[str, str]) -> None:
        self._flags = flags
        self._environ = environ
        self._notifier = Notifier(environ)
        self._reload = asyncio.Event()
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """The whole life of the process; returns its exit code. Raises PluginError where it cannot run."""
        logging.info("Starting nvidia-device-plugin %s", __version__)
        self._watch_signals()
        settings = config.load(self._flags, self._environ)
        watchdog = asyncio.create_task(self._notifier.watchdog())
        life = asyncio.create_task(self._live(settings))
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({life, stop}, return_when=asyncio.FIRST_COMPLETED)
            if life.done():
                life.result()
        finally:
            self._notifier.stopping()
            for task in (watchdog, life, stop):
                task.cancel()
            await asyncio.gather(watchdog, life, stop, return_exceptions=True)
        return 0

    async def _live(self, settings: Settings) -> None:
        """Publish what looks and reloads find, and serve it."""
        logging.info("Retrieving plugins")
        try:
            inventory = await _look(settings)
        except DiscoveryError as error:
            if settings.fail_on_init_error:
                raise
            inventory = Inventory(str(error))
            logging.error("%s; looking again every %.0f s", error, LOOK_SECONDS)
        store = Store(settings, plan(inventory, settings))
        supervisor = Supervisor(store, self._notifier.ready)
        serving = asyncio.create_task(supervisor.run())
        try:
            while True:
                if not inventory.devices:
                    self._notifier.ready(f"no GPU found, looking again every {LOOK_SECONDS:.0f} s: "
                                         f"{inventory.description}")
                await self._pause(serving, None if inventory.devices and not inventory.can_change else LOOK_SECONDS)
                if self._reload.is_set():
                    self._reload.clear()
                    settings, inventory = await self._reloaded(settings, inventory)
                    store.publish(settings, plan(inventory, settings))
                    supervisor.say()
                else:
                    inventory = await _look_again(settings, inventory)
                    store.publish(settings, plan(inventory, settings))
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    async def _pause(self, serving: asyncio.Task[None], seconds: float | None) -> None:
        """Return at a reload or when the time has passed. Raises what ends the serving."""
        reload = asyncio.create_task(self._reload.wait())
        try:
            await asyncio.wait({reload, serving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reload.cancel()
        if serving.done():
            serving.result()

    async def _reloaded(self, settings: Settings, inventory: Inventory) -> tuple[Settings, Inventory]:
        """The new settings and what is found with them; those of before where either goes wrong."""
        logging.info("Received SIGHUP, reading the configuration again")
        try:
            new = config.load(self._flags, self._environ)
            logging.info("Retrieving plugins")
            found = await _look(new)
        except PluginError as error:
            logging.error("%s; keeping the previous configuration: the reload changed nothing", error)
            return settings, inventory
        except Exception:
            # Whatever nobody foresaw must not end a service that has GPUs to serve.
            logging.exception("keeping the previous configuration: the reload changed nothing")
            return settings, inventory
        self._notifier.reloading()
        logging.info("Reloaded the configuration")
        return new, found

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        for number in _STOP:
            loop.add_signal_handler(number, self._end, number)
        logging.info("Starting OS watcher")

    def _end(self, number: signal.Signals) -> None:
        logging.info("Received %s, shutting down", number.name)
        self._stop.set()


async def _look(settings: Settings) -> Inventory:
    inventory = await discover(settings)
    _log(inventory)
    return inventory


def _log(inventory: Inventory) -> None:
    kind = "NVML devices" if inventory.can_change else "Tegra device"
    logging.info("%s detected: %s", kind, inventory.description)
    for problem in inventory.problems:
        logging.warning("%s", problem)
    if not inventory.devices:
        logging.warning("expected at least one GPU, found none (%s); looking again every %.0f s",
                        inventory.description, LOOK_SECONDS)


async def _look_again(settings: Settings, before: Inventory) -> Inventory:
    """What has become of the devices; only what is new is logged."""
    try:
        found = await discover(settings, is_first=not before.devices)
    except DiscoveryError as error:
        found = before.failed("the driver does not answer", str(error))
        if found != before:
            logging.error("%s", error)
        return found
    now = found.after(before)
    if now.description != before.description:
        _log(now)
    faults = {device.id: device.fault for device in before.devices}
    for device in now.devices:
        if device.fault != faults.get(device.id, ""):
            text = f"is unhealthy: {device.fault}" if device.fault else "is healthy again"
            logging.log(logging.ERROR if device.fault else logging.INFO, "GPU %s %s", device.id, text)
    return now
