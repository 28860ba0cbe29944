# SPDX-License-Identifier: MIT
"""What discovery finds: devices, and the platform they sit on."""

from __future__ import annotations

from dataclasses import dataclass

HEALTHY = "Healthy"
UNHEALTHY = "Unhealthy"


@dataclass(frozen=True)
class Device:
    """One GPU as the kubelet sees it.

    id: the kubelet's name for it, at most 63 characters.
    index: its position in the driver's order.
    paths: its own device nodes, as paths inside a container (/dev/nvidia0).
    numa_node: the node its bus hangs on, or None where there is no such thing.
    """

    id: str
    index: int
    paths: tuple[str, ...] = ()
    numa_node: int | None = None
    health: str = HEALTHY


@dataclass(frozen=True)
class Platform:
    """The devices and what they share.

    description: one line for the log and the service's status.
    shared_paths: device nodes that every allocation needs besides the devices' own, as paths inside a
        container.
    visible_as: for each device ID, what NVIDIA's container runtime calls it in NVIDIA_VISIBLE_DEVICES.
    """

    description: str
    devices: tuple[Device, ...]
    visible_as: dict[str, str]
    shared_paths: tuple[str, ...] = ()

    @property
    def by_id(self) -> dict[str, Device]:
        return {device.id: device for device in self.devices}
