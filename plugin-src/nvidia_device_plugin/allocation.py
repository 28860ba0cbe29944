# SPDX-License-Identifier: MIT
"""What the kubelet asks about devices, answered without touching anything.

Each function either answers or raises RequestError; none of them keeps state, for the kubelet alone
decides who holds which device.
"""

from __future__ import annotations

from collections.abc import Sequence

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin.config import RESOURCE, Settings
from nvidia_device_plugin.device import Platform
from nvidia_device_plugin.errors import RequestError

VISIBLE_DEVICES = "NVIDIA_VISIBLE_DEVICES"
# A mount of NULL in this folder of a container asks NVIDIA's runtime for the device of that name
# (nvidia-container-toolkit, internal/config/image).
MOUNTED_DEVICES = "/var/run/nvidia-container-devices"
NULL = "/dev/null"


def allocate(request: api.AllocateRequest, platform: Platform, settings: Settings) -> api.AllocateResponse:
    """What each container of the request gets, in the request's order."""
    if not request.container_requests:
        raise RequestError(f"{RESOURCE}: expected at least one container in an Allocate, found none")
    every = [device for container in request.container_requests for device in container.devices_ids]
    response = api.AllocateResponse()
    for index, container in enumerate(request.container_requests):
        check(container.devices_ids, platform, f"container {index}")
    _refuse_repeats(every, "the request")
    for container in request.container_requests:
        answer = response.container_responses.add()
        _list_devices(answer, [platform.visible_as[device] for device in container.devices_ids], settings)
        if settings.pass_device_specs:
            for node in _nodes(container.devices_ids, platform):
                answer.devices.add(container_path=node, host_path=str(settings.dev_root / node.lstrip("/")),
                                   permissions="rw")
    return response


def prefer(request: api.PreferredAllocationRequest, platform: Platform) -> api.PreferredAllocationResponse:
    """Which of the available devices go best together: those on the NUMA node of the ones already set."""
    response = api.PreferredAllocationResponse()
    for index, container in enumerate(request.container_requests):
        where = f"container {index}"
        available, must, size = (container.available_deviceIDs, container.must_include_deviceIDs,
                                 container.allocation_size)
        check(available, platform, f"{where}, available devices")
        if not set(must) <= set(available) or len(set(must)) != len(must):
            raise RequestError(f"{RESOURCE}, {where}: expected the devices to include ({', '.join(must)}) once each "
                               f"among the available ones ({', '.join(available)})")
        if not max(1, len(must)) <= size <= len(available):
            raise RequestError(f"{RESOURCE}, {where}: expected an allocation size from {max(1, len(must))} to "
                               f"{len(available)}, found {size}")
        response.container_responses.add(deviceIDs=_together(available, must, size, platform))
    return response


def check(devices: Sequence[str], platform: Platform, where: str) -> None:
    """Raise RequestError where a list of device IDs is empty, repeats one or names one that is not there."""
    if not devices:
        raise RequestError(f"{RESOURCE}, {where}: expected at least one device, found none")
    for device in devices:
        if device not in platform.by_id:
            raise RequestError(f"{RESOURCE}, {where}: unknown device '{device}'; "
                               f"there are: {', '.join(platform.by_id)}")
    _refuse_repeats(devices, where)


def _list_devices(answer: api.ContainerAllocateResponse, names: Sequence[str], settings: Settings) -> None:
    """Tell the container runtime the devices, as k8s-device-plugin (internal/plugin/server.go) does."""
    answer.envs[VISIBLE_DEVICES] = ",".join(names)
    if "volume-mounts" in settings.device_list_strategy:
        # With envvar, too, it is the folder: a variable that names devices is what this strategy does away with.
        answer.envs[VISIBLE_DEVICES] = MOUNTED_DEVICES
        for name in names:
            answer.mounts.add(container_path=f"{MOUNTED_DEVICES}/{name}", host_path=NULL)


def _refuse_repeats(devices: Sequence[str], where: str) -> None:
    repeated = sorted({device for device in devices if list(devices).count(device) > 1})
    if repeated:
        raise RequestError(f"{RESOURCE}, {where}: expected each device once, found '{repeated[0]}' repeated")


def _nodes(devices: Sequence[str], platform: Platform) -> list[str]:
    own = [path for device in devices for path in platform.by_id[device].paths]
    return [*platform.shared_paths, *own]


def _together(available: Sequence[str], must: Sequence[str], size: int, platform: Platform) -> list[str]:
    devices = platform.by_id
    chosen = list(must)
    rest = sorted(set(available) - set(must), key=lambda device: devices[device].index)
    nodes = [devices[device].numa_node for device in rest]
    while len(chosen) < size:
        # Nearest to what is chosen; before anything is, the node with the most free devices.
        taken = [devices[device].numa_node for device in chosen] or nodes
        best = max(rest, key=lambda device: (taken.count(devices[device].numa_node), -devices[device].index))
        chosen.append(best)
        rest.remove(best)
    return chosen
