# SPDX-License-Identifier: MIT
"""Kubelets, and folders of theirs, that go about it in an unusual way: the GPU is offered all the same."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin, Resource
from wr_nvidia_k8s.lab.plugin import SOURCE, PluginProcess, jetson

GPU = "nvidia.com/gpu"


async def test_a_folder_that_is_wiped_at_every_moment_does_not_end_it(scratch: Path) -> None:
    """As a kubelet does that starts: it can catch a socket between its bind and its rename."""
    folder = scratch / "kubelet"
    folder.mkdir()

    def wipe(count: int) -> None:
        while count:
            for path in folder.iterdir():
                if not path.is_dir():
                    path.unlink(missing_ok=True)
                    count -= 1

    async with jetson(scratch) as plugin:
        await asyncio.wait_for(asyncio.to_thread(wipe, 200), 60)
        kubelet = KubeletStandin(folder)
        await kubelet.start()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert plugin.process.returncode is None
        await kubelet.stop()


def watches(plugin: PluginProcess) -> int:
    """How many of the user's inotify instances, of which Linux allows 128, the plugin has open."""
    entries = Path(f"/proc/{plugin.process.pid}/fd").iterdir()
    return sum(entry.resolve().name == "anon_inode:inotify" for entry in entries)


async def test_a_stream_that_the_kubelet_ends_is_a_reason_to_register_again(scratch: Path,
                                                                            kubelet: KubeletStandin) -> None:
    async with jetson(scratch) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        await kubelet._forget(GPU)  # its socket stays as it is
        await kubelet.wait_for(lambda: kubelet.registrations == 2 and kubelet.capacity(GPU) == 1)
        await plugin.wait_log("the kubelet does not follow")


async def test_a_chmod_of_the_kubelets_socket_makes_no_new_kubelet(scratch: Path, kubelet: KubeletStandin) -> None:
    async with jetson(scratch) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        for mode in (0o600, 0o660, 0o755):
            kubelet.socket.chmod(mode)
            for number in range(5):  # calls that come after it are answered after it was seen
                await kubelet.admit(f"pod-{number}", GPU)
                kubelet.remove(f"pod-{number}")
        (kubelet.folder / "nvidia-gpu.sock").unlink()
        await plugin.wait_log("Registered device plugin", count=2)
        assert kubelet.registrations == 2, "the one for the socket that was removed, and none for a chmod"
        assert watches(plugin) == 1


class Hung:
    """A kubelet that accepts and never answers."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._socket.setblocking(False)
        self.connections: list[socket.socket] = []

    async def called(self) -> None:
        """Return once somebody has connected to speak, not only to look whether anybody listens."""
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await asyncio.wait_for(loop.sock_accept(self._socket), 30)
            self.connections.append(connection)
            connection.setblocking(False)
            if await loop.sock_recv(connection, 1):
                return

    def close(self) -> None:
        for entry in (*self.connections, self._socket):
            entry.close()


@pytest.fixture
async def hung(scratch: Path) -> AsyncIterator[Hung]:
    kubelet = Hung(scratch / "kubelet/kubelet.sock")
    yield kubelet
    kubelet.close()


async def test_a_hung_kubelet_keeps_nobody_waiting(scratch: Path, hung: Hung) -> None:
    async with jetson(scratch) as plugin:
        await hung.called()
        await plugin.wait_notified("READY=1")
        assert not any("answered" in line for line in plugin.log), "ready before the call has timed out"


async def test_a_registration_is_given_up_when_the_kubelet_is_replaced(scratch: Path, hung: Hung) -> None:
    async with jetson(scratch) as plugin:
        await hung.called()
        kubelet = KubeletStandin(scratch / "kubelet")
        await kubelet.start()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert not any("answered" in line for line in plugin.log), "the call to the old one has not timed out"
        await kubelet.stop()


async def test_events_do_not_hurry_a_refused_registration(scratch: Path) -> None:
    class Refusing(KubeletStandin):
        attempts = 0

        async def Register(self, _request: api.RegisterRequest,
                           context: grpc.aio.ServicerContext[Any, Any]) -> api.Empty:
            self.attempts += 1
            await context.abort(grpc.StatusCode.UNKNOWN, "not now")
            return api.Empty()

    kubelet = Refusing(scratch / "kubelet")
    await kubelet.start()
    async with jetson(scratch) as plugin:
        await plugin.wait_log("answered UNKNOWN: not now; retrying in 1 s")
        began, first = time.monotonic(), kubelet.attempts
        for number in range(200):
            (kubelet.folder / "other").touch()
            (kubelet.folder / "other").unlink()
            if number % 10 == 0:
                await asyncio.sleep(0)
        await plugin.wait_log("retrying in 2 s")
        # One and two seconds pause: three attempts take three seconds.
        assert kubelet.attempts - first <= 1 + (time.monotonic() - began)
    await kubelet.stop()


async def test_waiting_for_a_kubelet_is_logged_once(scratch: Path) -> None:
    async with jetson(scratch) as plugin:
        await plugin.wait_log("waiting for a kubelet")
        for _ in range(20):
            (scratch / "kubelet/other").touch()
            (scratch / "kubelet/other").unlink()
        (scratch / "kubelet/nvidia-gpu.sock").unlink()
        await plugin.wait_log("serving anew")
        await plugin.wait_log("Serving", count=2)
        assert sum("waiting for a kubelet" in line for line in plugin.log) == 1


def in_a_namespace(*arguments: str) -> list[str]:
    """What runs the command after it so; the test is skipped where that is not allowed."""
    command = ["unshare", *arguments]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("user namespaces: run this outside of a container, or in one that allows them")
    return command


def impatient(module: str, **constants: float) -> list[str]:
    """The program with another value of a module's constants, so that no test waits for half a minute."""
    lines = "".join(f"module.{name} = {value}; " for name, value in constants.items())
    return [sys.executable, "-c", f"import sys, nvidia_device_plugin.{module} as module; {lines}"
                                  "from nvidia_device_plugin.cli import main; sys.exit(main())"]


class Deaf(KubeletStandin):
    """A kubelet that registers whoever asks, and follows the list of devices only while `follows`."""

    follows = True

    async def _follow(self, resource: Resource) -> None:
        if self.follows:
            await super()._follow(resource)


async def test_events_do_not_put_off_the_next_registration(scratch: Path) -> None:
    kubelet = Deaf(scratch / "kubelet")
    kubelet.follows = False
    await kubelet.start()

    async def stir() -> None:
        while True:
            (kubelet.folder / "other").touch()
            (kubelet.folder / "other").unlink()
            await asyncio.sleep(0.05)

    async with jetson(scratch):
        stirring = asyncio.create_task(stir())
        await kubelet.wait_for(lambda: kubelet.registrations == 1)
        kubelet.follows = True
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        stirring.cancel()
    await kubelet.stop()


async def test_a_kubelet_that_does_not_follow_is_asked_again_soon_whatever_came_before(scratch: Path) -> None:
    """The patience that grows with each registration is gone with the stream that answers it."""
    kubelet = Deaf(scratch / "kubelet")
    await kubelet.start()
    command = impatient("kubelet.registrar", _STREAM_SECONDS=0.2, _LONGEST_STREAM_SECONDS=1e6)
    async with jetson(scratch, command=command, environ={"PYTHONPATH": str(SOURCE)}) as plugin:
        for _ in range(10):  # 0.2 s, doubled ten times, is longer than any wait of a test
            await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
            await kubelet.restart()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        kubelet.follows, before = False, kubelet.registrations
        await kubelet.restart()
        await kubelet.wait_for(lambda: kubelet.registrations >= before + 2)
        kubelet.follows = True
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert plugin.process.returncode is None
    await kubelet.stop()


async def test_a_path_that_comes_to_mean_another_folder_is_noticed(scratch: Path) -> None:
    """No event tells that a link on the way was changed: only a look does."""
    for name in ("before", "after"):
        (scratch / name).mkdir()
    link = scratch / "link"
    link.symlink_to("before")
    kubelet = KubeletStandin(scratch / "after")
    async with jetson(scratch, folder=link, command=impatient("kubelet.folder", _TICK_SECONDS=0.2),
                      environ={"PYTHONPATH": str(SOURCE)}) as plugin:
        await plugin.wait_notified("READY=1")
        new = scratch / "new"
        new.symlink_to("after")
        new.replace(link)
        await kubelet.start()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        await plugin.wait_log("has become another folder")
        await kubelet.stop()


async def test_without_inotify_it_looks_by_itself(scratch: Path, kubelet: KubeletStandin) -> None:
    command = in_a_namespace("--user", "--map-root-user", "sh", "-ec",
                             'echo 0 >/proc/sys/user/max_inotify_instances; exec "$@"', "sh")
    async with jetson(scratch, command=[*command, sys.executable, "-m", "nvidia_device_plugin"],
                      environ={"PYTHONPATH": str(SOURCE)}) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        await plugin.wait_log("fs.inotify.max_user_instances")
        await kubelet.restart()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert sum("fs.inotify" in line for line in plugin.log) == 1


@pytest.mark.parametrize("name", ["100%", "a#b", "a?b", "a b", "%41"])
async def test_any_name_of_the_folder_will_do(scratch: Path, name: str) -> None:
    short = scratch / "short"  # the stand-in does not quote its own
    (scratch / name).mkdir()
    short.symlink_to(name)
    kubelet = KubeletStandin(short)
    await kubelet.start()
    async with jetson(scratch, folder=scratch / name):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
    await kubelet.stop()


@pytest.mark.parametrize("linked", [False, True])
async def test_a_folder_outside_the_sandbox_is_named_with_what_to_do(scratch: Path, linked: bool) -> None:
    folder = scratch / "kubelet"
    folder.mkdir()
    (scratch / "link").symlink_to("kubelet")
    command = in_a_namespace("--map-root-user", "--mount", "sh", "-ec",
                             'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec "$@"', str(folder))
    async with jetson(scratch, folder=scratch / "link" if linked else folder,
                      command=[*command, sys.executable, "-m", "nvidia_device_plugin"],
                      environ={"PYTHONPATH": str(SOURCE)}) as plugin:
        assert await plugin.end() == 1
    assert f"ReadWritePaths={folder}" in plugin.log[-1] and "systemctl edit nvidia-device-plugin" in plugin.log[-1]
    assert (f"{scratch}/link is a link to it" in plugin.log[-1]) == linked


async def test_leftovers_of_killed_plugins_are_removed(scratch: Path, kubelet: KubeletStandin) -> None:
    hidden = kubelet.folder / ".nv"
    hidden.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(hidden / "1.0"))
    async with jetson(scratch):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert len(list(hidden.iterdir())) == 1
