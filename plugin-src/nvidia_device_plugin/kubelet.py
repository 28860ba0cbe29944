# SPDX-License-Identifier: MIT
"""The kubelet's side of the folder: is its socket there, is it a new one, does it take us."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path

import grpc
import grpc.aio

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin import rpc, service
from nvidia_device_plugin.config import RESOURCE

VERSION = "v1beta1"
Identity = tuple[int, int, int]

# Long enough for a kubelet that is busy starting its pods; it dials us back within this call.
_TIMEOUT_SECONDS = 10


class RegistrationRefused(Exception):
    """The kubelet answered, and the answer was no."""


def identity(path: Path) -> Identity | None:
    """What tells one kubelet's socket from its successor's; None while there is none.

    The change time is part of it, because a file system may give the next socket the same inode.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_ctime_ns) if stat.S_ISSOCK(status.st_mode) else None


async def listens(path: Path) -> bool:
    """Whether somebody accepts connections at the socket.

    A kubelet's socket is visible from its bind() on, and refuses until its listen(). Asking first keeps
    gRPC from backing off for a second after one refusal.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(probe, str(path))
        except OSError:
            return False
    return True


async def register(path: Path, endpoint: str) -> bool:
    """Announce the plugin's socket to the kubelet; False where the kubelet went away meanwhile.

    endpoint: the file name of the plugin's socket in the kubelet socket's folder. It must be served
    already: the kubelet calls it back before it answers.
    Raises RegistrationRefused with the kubelet's own words.
    """
    request = api.RegisterRequest(version=VERSION, endpoint=endpoint, resource_name=RESOURCE,
                                  options=service.options())
    async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
        try:
            await rpc.call(channel, rpc.REGISTRATION, "Register")(request, timeout=_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                return False
            raise RegistrationRefused(f"{error.code().name}: {error.details()}") from error
    return True
