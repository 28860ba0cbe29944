# SPDX-License-Identifier: MIT
"""The kubelet's calls to the plugin, made by a test itself where the stand-in would not make them."""

from pathlib import Path
from typing import Any

import grpc.aio

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin import rpc

SOCKET = "nvidia-gpu.sock"


async def ask(folder: Path, method: str, request: object) -> Any:
    """The plugin's answer to one call; `folder` is the kubelet's."""
    async with grpc.aio.insecure_channel(f"unix:{folder / SOCKET}") as channel:
        return await rpc.call(channel, rpc.DEVICE_PLUGIN, method)(request, timeout=30)


async def watched(folder: Path) -> dict[str, api.Device]:
    """The devices of the first list that ListAndWatch sends, by their IDs."""
    async with grpc.aio.insecure_channel(f"unix:{folder / SOCKET}") as channel:
        stream = rpc.call(channel, rpc.DEVICE_PLUGIN, "ListAndWatch")(api.Empty(), timeout=30)
        devices = (await stream.read()).devices
        stream.cancel()
    found = {device.ID: device for device in devices}
    assert len(found) == len(devices), "each device once"
    return found
