# SPDX-License-Identifier: MIT
"""The DevicePlugin service: the kubelet's five questions, with its errors as gRPC statuses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio

from nvidia_device_plugin import allocation
from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin.config import Settings
from nvidia_device_plugin.device import Platform
from nvidia_device_plugin.errors import RequestError

Answer = TypeVar("Answer")


def options() -> api.DevicePluginOptions:
    """What this plugin implements of the optional calls."""
    return api.DevicePluginOptions(pre_start_required=False, get_preferred_allocation_available=True)


class DevicePluginService:
    """Answers for one platform; the method names are the API's."""

    def __init__(self, platform: Platform, settings: Settings) -> None:
        self._platform = platform
        self._settings = settings

    async def GetDevicePluginOptions(self, _request: api.Empty, _context: object) -> api.DevicePluginOptions:
        return options()

    async def ListAndWatch(self, _request: api.Empty, _context: object) -> AsyncIterator[api.ListAndWatchResponse]:
        yield self._devices()
        # The list never changes while the plugin serves; ending the stream would tell the kubelet
        # that the devices are gone. Stopping the server cancels the wait.
        await asyncio.Event().wait()

    async def GetPreferredAllocation(self, request: api.PreferredAllocationRequest,
                                     context: grpc.aio.ServicerContext[Any, Any]) -> api.PreferredAllocationResponse:
        return await _answer(context, lambda: allocation.prefer(request, self._platform))

    async def Allocate(self, request: api.AllocateRequest,
                       context: grpc.aio.ServicerContext[Any, Any]) -> api.AllocateResponse:
        response = await _answer(context, lambda: allocation.allocate(request, self._platform, self._settings))
        for container in request.container_requests:
            logging.info("Allocated %s", ", ".join(container.devices_ids))
        return response

    async def PreStartContainer(self, request: api.PreStartContainerRequest,
                                context: grpc.aio.ServicerContext[Any, Any]) -> api.PreStartContainerResponse:
        await _answer(context, lambda: allocation.check(request.devices_ids, self._platform, "PreStartContainer"))
        return api.PreStartContainerResponse()

    def _devices(self) -> api.ListAndWatchResponse:
        response = api.ListAndWatchResponse()
        for device in self._platform.devices:
            entry = response.devices.add(ID=device.id, health=device.health)
            if device.numa_node is not None:
                entry.topology.nodes.add(ID=device.numa_node)
        return response


async def _answer(context: grpc.aio.ServicerContext[Any, Any], question: Callable[[], Answer]) -> Answer:
    try:
        return question()
    except RequestError as error:
        logging.error("refused: %s", error)
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        raise AssertionError("abort always raises") from error
