# SPDX-License-Identifier: MIT
"""What a kubelet's device manager knows, from the file in which it keeps that over restarts."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any


class Checkpoint:
    """``kubelet_internal_checkpoint`` in the ``directory`` of the device plugins.

    The kubelet writes it after each registration, each change of health and each allocation. Source:
    kubernetes, pkg/kubelet/cm/devicemanager/checkpoint.
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / "kubelet_internal_checkpoint"
        self._stale: tuple[int, int] | None = None

    def forget(self) -> None:
        """Count every resource as 0 in `capacity` until the file is written again.

        To be called after a plugin was ended: the kubelet drops its devices at once, but writes it down only
        when the next plugin comes.
        """
        with contextlib.suppress(FileNotFoundError):
            self._stale = self._identity()

    def capacity(self, resource: str) -> int | None:
        """How many healthy devices of ``resource`` there are; None if the kubelet has never heard of it."""
        registered = self._read()["RegisteredDevices"] or {}
        if resource not in registered:
            return None
        return 0 if self._stale == self._identity() else len(registered[resource] or [])

    def devices(self, uid: str, resource: str) -> list[str]:
        """The IDs of the devices of ``resource`` that the pod with this UID holds."""
        return [
            device
            for entry in self._read()["PodDeviceEntries"] or []
            if entry["PodUID"] == uid and entry["ResourceName"] == resource
            for node in entry["DeviceIDs"].values()  # by NUMA node
            for device in node
        ]

    def _read(self) -> Any:
        try:
            return json.loads(self._file.read_text())["Data"]
        except FileNotFoundError:
            return {"PodDeviceEntries": [], "RegisteredDevices": {}}

    def _identity(self) -> tuple[int, int]:
        found = self._file.stat()
        return found.st_ino, found.st_mtime_ns
