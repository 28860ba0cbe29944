# SPDX-License-Identifier: MIT
"""Which requests make sense for a resource; each check takes time in proportion to the request."""

from __future__ import annotations

from collections.abc import Sequence

from nvidia_device_plugin.errors import RequestError
from nvidia_device_plugin.model import Resource
from nvidia_device_plugin.text import clip, listed


def check(devices: Sequence[str], resource: Resource, where: str) -> None:
    """Raise RequestError where a list of device IDs is empty, repeats one or names one that is not there."""
    known = resource.by_id
    if not devices:
        raise RequestError(f"{resource.name}, {where}: expected at least one device, found none")
    for device in devices:
        if device not in known:
            raise RequestError(f"{resource.name}, {where}: unknown device '{clip(device)}'; "
                               f"there are: {listed(known)}")
    refuse_repeats(devices, resource, where)


def refuse_repeats(devices: Sequence[str], resource: Resource, where: str) -> None:
    seen: set[str] = set()
    for device in devices:
        if device in seen:
            raise RequestError(f"{resource.name}, {where}: expected each device once, "
                               f"found '{clip(device)}' repeated")
        seen.add(device)


def refuse_unusable(devices: Sequence[str], resource: Resource, where: str) -> None:
    """Between the fault of a device and the kubelet's hearing of it, it may still be asked for."""
    for device in devices:
        if fault := resource.by_id[device].fault:
            raise RequestError(f"{resource.name}, {where}: device '{device}' cannot be used: {clip(fault)}")


def check_preference(available: Sequence[str], must: Sequence[str], size: int, resource: Resource,
                     where: str) -> None:
    """Raise RequestError where no choice of `size` of the available devices has all that it must include."""
    check(available, resource, f"{where}, available devices")
    if not set(must) <= set(available) or len(set(must)) != len(must):
        raise RequestError(f"{resource.name}, {where}: expected the devices to include ({listed(must)}) once each "
                           f"among the available ones ({listed(available)})")
    if not max(1, len(must)) <= size <= len(available):
        raise RequestError(f"{resource.name}, {where}: expected an allocation size from {max(1, len(must))} to "
                           f"{len(available)}, found {size}")
