# SPDX-License-Identifier: MIT
"""The socket of one resource: a gRPC server at a path that the kubelet may wipe at any time."""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import socket
import stat
import struct
from pathlib import Path
from urllib.parse import quote

import grpc.aio

from nvidia_device_plugin import rpc
from nvidia_device_plugin.errors import SocketError

# A kubelet that starts removes every file of its folder, and leaves the folders in it alone
# (pkg/kubelet/cm/devicemanager, removeContents). A short name: a path in it must not be longer than the socket's own.
HIDDEN = ".nv"

# sun_path holds 108 bytes with its closing NUL: unix(7).
_LONGEST_PATH = 107
# A request that names each of 10 000 devices has 400 kB.
_OPTIONS = (("grpc.max_receive_message_length", 1 << 20),)
_counter = itertools.count()


def target(path: Path) -> str:
    """The address of a unix socket as gRPC takes it, which is a URI."""
    return f"unix:{quote(str(path))}"


class OccupiedError(SocketError):
    """Another process serves at the path."""


class Endpoint:
    """Serves one implementation of the DevicePlugin service at one path.

    The server binds a name in the folder HIDDEN, and the path is a second name (a hard link) of that socket. So the
    kubelet's wiping takes a name and not the server, a stale socket is replaced without a moment in which there is
    none, and gRPC, which at shutdown unlinks the name that it bound, can never unlink a successor's socket.

    generation: how often the path was made to lead here.
    """

    def __init__(self, name: str, path: Path, service: object) -> None:
        self.path = path
        self.generation = 0
        self._name = name
        self._service = service
        self._server: grpc.aio.Server | None = None
        self._bound = path
        self._inode: tuple[int, int] | None = None

    def is_bound(self) -> bool:
        """Whether the path leads to this server."""
        return self._inode is not None and _inode(self.path) == self._inode

    async def ensure(self) -> None:
        """Serve at the path, where that is not so already.

        Raises OccupiedError where another process serves there, SocketError where something that is no socket is in
        the way or the folder does not take a socket; and FileNotFoundError where the folder is gone.
        """
        if self.is_bound():
            return
        _refuse_unless_free(self.path)
        if self._inode is not None:
            logging.info("%s was removed, serving anew", self.path)
        try:
            if self._inode is None or _inode(self._bound) != self._inode:
                await self._start()
            self._link()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SocketError(f"expected to serve at {self.path}, found: {error.strerror or error}; "
                              f"{advice(self.path.parent, error)}") from error
        logging.info("Serving '%s' on %s", self._name, self.path)

    async def stop(self) -> None:
        """Stop serving and remove the socket, unless somebody else's is there by now."""
        if self.is_bound():
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        self._inode = None
        server, self._server = self._server, None
        if server:
            await server.stop(None)
            logging.info("Stopped serving '%s' on %s", self._name, self.path)
        with contextlib.suppress(OSError):  # others may have sockets in it
            self._bound.parent.rmdir()

    async def _start(self) -> None:
        hidden = self.path.with_name(HIDDEN)
        hidden.mkdir(mode=0o700, exist_ok=True)
        bound = hidden / f"{os.getpid():x}.{next(_counter)}"
        longest = max(len(os.fsencode(path)) for path in (self.path, bound))
        if longest > _LONGEST_PATH:
            raise SocketError(f"expected a socket path of at most {_LONGEST_PATH} bytes, "
                              f"found {longest}: {self.path}; use a shorter folder")
        _remove_stale(hidden)
        logging.info("Starting gRPC server for '%s'", self._name)
        before = self._server
        server = grpc.aio.server(options=_OPTIONS)
        try:
            server.add_generic_rpc_handlers((rpc.handler(rpc.DEVICE_PLUGIN, self._service),))
            _bind(server, bound)
            await server.start()
            bound.chmod(0o600)
        except BaseException:
            await server.stop(None)
            raise
        self._server, self._bound, self._inode = server, bound, _inode(bound)
        if before:
            await before.stop(None)

    def _link(self) -> None:
        # By way of a name that nobody wipes, so that a stale socket at the path is replaced in one step.
        new = self._bound.with_suffix(".new")
        new.unlink(missing_ok=True)
        os.link(self._bound, new)
        try:
            new.replace(self.path)
        except OSError:
            new.unlink()
            raise
        self.generation += 1


def advice(folder: Path, error: OSError) -> str:
    """What to do about a folder that cannot be written to."""
    real = folder.resolve()
    link = "" if real == folder else f" ({folder} is a link to it)"
    if error.errno != errno.EROFS:
        return f"check that the folder exists, is writable and is not in a place that the service's sandbox hides, " \
               f"such as /home: {real}{link}"
    return (f"where the service's sandbox forbids it, allow the folder: systemctl edit nvidia-device-plugin, then "
            f"under [Service]: ReadWritePaths={real}{link}")


def _bind(server: grpc.aio.Server, path: Path) -> None:
    """Bind, with the kernel's reason as OSError where that fails; gRPC gives none."""
    try:
        if server.add_insecure_port(target(path)):
            return
    except RuntimeError:
        pass
    with socket.socket(socket.AF_UNIX) as probe:
        probe.bind(str(path))
    path.unlink()
    raise OSError(errno.EIO, "gRPC could not bind it")


def _remove_stale(folder: Path) -> None:
    """Remove what processes that were killed have left behind."""
    for path in folder.iterdir():
        if not _listener(path):
            path.unlink(missing_ok=True)


def _inode(path: Path) -> tuple[int, int] | None:
    # The kernel keeps the inode of a bound socket as long as the socket is open, so the number is not
    # used again under our feet.
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _listener(path: Path) -> int:
    """The process that listens at the socket; 0 where nobody does."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return 0
        # struct ucred: pid, uid, gid of the listener; unix(7), SO_PEERCRED.
        pid: int = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return pid or -1


def _refuse_unless_free(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise SocketError(f"expected to look at {path}, found: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        raise SocketError(f"expected a socket or nothing at {path}, found another kind of file; move it away")
    if pid := _listener(path):
        raise OccupiedError(f"expected nobody to serve at {path}, found process {pid} there; "
                            f"stop the other device plugin, or use another --kubelet-socket")
