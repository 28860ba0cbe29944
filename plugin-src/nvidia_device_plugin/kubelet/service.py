# SPDX-License-Identifier: MIT
"""The DevicePlugin service of one resource: the kubelet's five questions, with errors as gRPC statuses."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin.allocation import answer, request
from nvidia_device_plugin.errors import RequestError
from nvidia_device_plugin.model import Resource
from nvidia_device_plugin.state.store import Store

Answer = TypeVar("Answer")
if TYPE_CHECKING:
    _Context = grpc.aio.ServicerContext[Any, Any]


def options() -> api.DevicePluginOptions:
    """What this plugin implements of the optional calls."""
    return api.DevicePluginOptions(pre_start_required=False, get_preferred_allocation_available=True)


class DevicePluginService:
    """Answers for the resource `name` as the store has it; the method names are the API's.

    streams: how many ListAndWatch calls are open. on_stream: called when that has changed.
    """

    def __init__(self, name: str, store: Store, on_stream: Callable[[], None]) -> None:
        self.streams = 0
        self._name = name
        self._store = store
        self._on_stream = on_stream

    async def GetDevicePluginOptions(self, _request: api.Empty, _context: object) -> api.DevicePluginOptions:
        return options()

    async def ListAndWatch(self, _request: api.Empty, _context: object) -> AsyncIterator[api.ListAndWatchResponse]:
        # The end of the stream tells the kubelet that the devices are gone: it is kept open as long as they are not.
        self._count(1)
        try:
            async for resource in self._store.follow(self._name):
                yield _listed(resource)
        finally:
            self._count(-1)

    async def GetPreferredAllocation(self, asked: api.PreferredAllocationRequest,
                                     context: _Context) -> api.PreferredAllocationResponse:
        return await self._answer(context, lambda resource: answer.prefer(asked, resource))

    async def Allocate(self, asked: api.AllocateRequest, context: _Context) -> api.AllocateResponse:
        settings = self._store.snapshot.settings
        return await self._answer(context, lambda resource: answer.allocate(asked, resource, settings))

    async def PreStartContainer(self, asked: api.PreStartContainerRequest,
                                context: _Context) -> api.PreStartContainerResponse:
        await self._answer(context, lambda resource: request.check(asked.devices_ids, resource, "PreStartContainer"))
        return api.PreStartContainerResponse()

    async def _answer(self, context: _Context, question: Callable[[Resource], Answer]) -> Answer:
        try:
            resource = self._store.snapshot.resources.get(self._name)
            if resource is None:
                raise RequestError(f"{self._name} is no longer offered")
            return question(resource)
        except RequestError as error:
            logging.error("refused: %s", error)
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise AssertionError("abort always raises") from error

    def _count(self, change: int) -> None:
        self.streams += change
        self._on_stream()


def _listed(resource: Resource) -> api.ListAndWatchResponse:
    response = api.ListAndWatchResponse()
    for device in resource.devices:
        entry = response.devices.add(ID=device.id, health=device.health)
        if device.numa_node is not None:
            entry.topology.nodes.add(ID=device.numa_node)
    return response
