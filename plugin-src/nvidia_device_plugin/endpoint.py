# SPDX-License-Identifier: MIT
"""The plugin's own socket: a gRPC server at a path that the kubelet may wipe at any time."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import stat
import struct
from pathlib import Path

import grpc.aio

from nvidia_device_plugin import rpc
from nvidia_device_plugin.config import RESOURCE
from nvidia_device_plugin.errors import SocketError

NAME = "nvidia-gpu.sock"

# sun_path holds 108 bytes with its closing NUL: unix(7).
_LONGEST_PATH = 107
_counter = itertools.count()


class Endpoint:
    """Serves one implementation of the DevicePlugin service in one folder.

    The server binds a name of its own and is renamed to the real one. So a stale socket is replaced
    without a moment in which there is none, and gRPC, which at shutdown unlinks the name that it bound,
    can never unlink the socket of a successor.
    """

    def __init__(self, folder: Path, service: object) -> None:
        self.path = folder / NAME
        self._service = service
        self._server: grpc.aio.Server | None = None
        self._inode: tuple[int, int] | None = None

    def is_bound(self) -> bool:
        """Whether the path still leads to this server."""
        return self._inode is not None and _inode(self.path) == self._inode

    async def start(self) -> None:
        """Serve, in place of whatever this object served before.

        Raises SocketError where another process serves at the path, where something that is no socket
        is in the way, or where the folder does not take a socket.
        """
        await self.stop()
        _refuse_unless_free(self.path)
        temporary = self.path.with_name(f".gpu.{os.getpid():x}.{next(_counter)}")
        longest = max(len(os.fsencode(path)) for path in (self.path, temporary))
        if longest > _LONGEST_PATH:
            raise SocketError(f"expected a socket path of at most {_LONGEST_PATH} bytes, "
                              f"found {longest}: {self.path}; use a shorter folder")
        logging.info("Starting gRPC server for '%s'", RESOURCE)
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((rpc.handler(rpc.DEVICE_PLUGIN, self._service),))
        try:
            if not server.add_insecure_port(f"unix:{temporary}"):
                raise RuntimeError("gRPC could not bind it")
            await server.start()
            temporary.chmod(0o600)
            self._inode = _inode(temporary)
            temporary.rename(self.path)
        except (RuntimeError, OSError) as error:
            await server.stop(None)  # gRPC removes the name that a started server bound
            self._inode = None
            raise SocketError(f"expected to serve at {self.path}, found: {error}; "
                              f"check that the folder exists and is writable") from error
        self._server = server
        logging.info("Serving '%s' on %s", RESOURCE, self.path)

    async def stop(self) -> None:
        """Stop serving and remove the socket, unless somebody else's is there by now."""
        if self.is_bound():
            self.path.unlink(missing_ok=True)
        self._inode = None
        if self._server:
            await self._server.stop(None)
            self._server = None
            logging.info("Stopped serving '%s' on %s", RESOURCE, self.path)


def _inode(path: Path) -> tuple[int, int] | None:
    # The kernel keeps the inode of a bound socket as long as the socket is open, so the number is not
    # used again under our feet.
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _refuse_unless_free(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise SocketError(f"expected to look at {path}, found: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        raise SocketError(f"expected a socket or nothing at {path}, found another kind of file; move it away")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return  # left over by a process that is gone
        # struct ucred: pid, uid, gid of the listener; unix(7), SO_PEERCRED.
        pid = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    raise SocketError(f"expected nobody to serve at {path}, found process {pid} there; "
                      f"stop the other device plugin, or use another --kubelet-socket")
