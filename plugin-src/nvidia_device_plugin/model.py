# SPDX-License-Identifier: MIT
"""What the stages hand on: devices, the inventory that discovery makes of them, and the resources that are offered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

# The kubelet's words: pkg/kubelet/apis/deviceplugin/v1beta1/constants.go.
HEALTHY = "Healthy"
UNHEALTHY = "Unhealthy"


@dataclass(frozen=True)
class Device:
    """One GPU as the kubelet sees it.

    id: the kubelet's name for it, at most 63 characters.
    index: its position in the driver's order.
    visible_as: what NVIDIA's container runtime calls it in NVIDIA_VISIBLE_DEVICES.
    paths: the device nodes that an allocation of it needs, as paths inside a container (/dev/nvidia0).
    numa_node: the node its bus hangs on, or None where there is no such thing.
    fault: why it cannot be used at present; '' where it can.
    """

    id: str
    index: int
    visible_as: str
    paths: tuple[str, ...] = ()
    numa_node: int | None = None
    fault: str = ""

    @property
    def health(self) -> str:
        return UNHEALTHY if self.fault else HEALTHY


@dataclass(frozen=True)
class Inventory:
    """What a look at the machine found.

    description: one line for the log.
    problems: what was left out, and why.
    can_change: whether a later look may find something else, so that looking again is worth its while.
    """

    description: str
    devices: tuple[Device, ...] = ()
    problems: tuple[str, ...] = ()
    can_change: bool = True

    def after(self, before: Inventory) -> Inventory:
        """This look, with what `before` knew of devices that are gone or have become unreadable.

        A device that cannot be read has no UUID; it is told by its index. One that is missing stays in
        the list as unhealthy: the kubelet must learn that it is gone, and a pod may still hold it.
        """
        known = {device.id for device in self.devices}
        missing = {device.index: device for device in before.devices if device.id not in known}
        devices = []
        for device in self.devices:
            earlier = missing.pop(device.index, None) if device.fault else None
            devices.append(replace(earlier, fault=device.fault) if earlier else device)
        devices += [replace(device, fault="the driver no longer lists it") for device in missing.values()
                    if device.paths]
        return replace(self, devices=tuple(sorted(devices, key=lambda device: device.index)))

    def failed(self, fault: str, description: str) -> Inventory:
        """The same devices, none of which can be used."""
        return replace(self, description=description,
                       devices=tuple(replace(device, fault=fault) for device in self.devices))


@dataclass(frozen=True)
class Resource:
    """What the kubelet is offered under one name, such as nvidia.com/gpu."""

    name: str
    devices: tuple[Device, ...]

    @property
    def socket_name(self) -> str:
        """The file name of its socket; the plugin's alone, and the same over restarts."""
        return f"nvidia-{self.name.rpartition('/')[2]}.sock"

    @cached_property
    def by_id(self) -> Mapping[str, Device]:
        return {device.id: device for device in self.devices}
