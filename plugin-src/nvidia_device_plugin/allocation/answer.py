# SPDX-License-Identifier: MIT
"""The answers to Allocate and GetPreferredAllocation; each function either answers or raises RequestError."""

from __future__ import annotations

from collections.abc import Sequence

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin.allocation import policy, request
from nvidia_device_plugin.config import Settings
from nvidia_device_plugin.errors import RequestError
from nvidia_device_plugin.model import Resource

VISIBLE_DEVICES = "NVIDIA_VISIBLE_DEVICES"
# A mount of NULL in this folder of a container asks NVIDIA's runtime for the device of that name
# (nvidia-container-toolkit, internal/config/image).
MOUNTED_DEVICES = "/var/run/nvidia-container-devices"
NULL = "/dev/null"


def allocate(asked: api.AllocateRequest, resource: Resource, settings: Settings) -> api.AllocateResponse:
    """What each container of the request gets, in the request's order."""
    if not asked.container_requests:
        raise RequestError(f"{resource.name}: expected at least one container in an Allocate, found none")
    every: list[str] = []
    for index, container in enumerate(asked.container_requests):
        request.check(container.devices_ids, resource, f"container {index}")
        request.refuse_unusable(container.devices_ids, resource, f"container {index}")
        every += container.devices_ids
    request.refuse_repeats(every, resource, "the request")
    response = api.AllocateResponse()
    for container in asked.container_requests:
        answer = response.container_responses.add()
        _list_devices(answer, [resource.by_id[device].visible_as for device in container.devices_ids], settings)
        if settings.pass_device_specs:
            for node in _nodes(container.devices_ids, resource):
                answer.devices.add(container_path=node, host_path=str(settings.dev_root / node.lstrip("/")),
                                   permissions="rw")
    return response


def prefer(asked: api.PreferredAllocationRequest, resource: Resource) -> api.PreferredAllocationResponse:
    """Which of the available devices go best together, for each container."""
    response = api.PreferredAllocationResponse()
    for index, container in enumerate(asked.container_requests):
        available, must, size = (container.available_deviceIDs, container.must_include_deviceIDs,
                                 container.allocation_size)
        request.check_preference(available, must, size, resource, f"container {index}")
        response.container_responses.add(deviceIDs=policy.together(available, must, size, resource))
    return response


def _list_devices(answer: api.ContainerAllocateResponse, names: Sequence[str], settings: Settings) -> None:
    """Tell the container runtime the devices, as k8s-device-plugin (internal/plugin/server.go) does."""
    answer.envs[VISIBLE_DEVICES] = ",".join(names)
    if "volume-mounts" in settings.device_list_strategy:
        # With envvar, too, it is the folder: a variable that names devices is what this strategy does away with.
        answer.envs[VISIBLE_DEVICES] = MOUNTED_DEVICES
        for name in names:
            answer.mounts.add(container_path=f"{MOUNTED_DEVICES}/{name}", host_path=NULL)


def _nodes(devices: Sequence[str], resource: Resource) -> list[str]:
    """Every node once, in the order in which the devices name them."""
    return list(dict.fromkeys(path for device in devices for path in resource.by_id[device].paths))
