# SPDX-License-Identifier: MIT
"""The plugin as a process beside a kubelet: registering, staying registered, and ending."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import SOURCE, jetson

GPU = "nvidia.com/gpu"


async def test_registers_and_says_so_in_the_order_of_its_milestones(scratch: Path, kubelet: KubeletStandin) -> None:
    async with jetson(scratch) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        await plugin.wait_notified(r"READY=1\nSTATUS=registered 1 nvidia.com/gpu")
        log = "\n".join(plugin.log)
    assert all(line.startswith("<6>") for line in plugin.log), "each line carries journald's priority"
    places = [log.find(text) for text in (
        "Starting OS watcher", "Retrieving plugins",
        "Tegra device detected: NVIDIA Jetson Orin Nano Developer Kit, SoC tegra234, L4T R36.5.0",
        "Starting FS watcher", f"Starting gRPC server for '{GPU}'",
        f"Serving '{GPU}' on {kubelet.folder}/nvidia-gpu.sock", f"Registered device plugin for '{GPU}' with Kubelet")]
    assert -1 not in places and places == sorted(places), log


async def test_one_gpu_goes_to_one_pod_at_a_time(scratch: Path, kubelet: KubeletStandin) -> None:
    async with jetson(scratch):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        first = await kubelet.admit("first", GPU)
        assert dict(first.envs) == {"NVIDIA_VISIBLE_DEVICES": "0"}
        assert not first.devices, "device specs are handed out on request only"
        with pytest.raises(Exception, match="Requested: 1, Available: 0"):
            await kubelet.admit("second", GPU)
        kubelet.remove("first")
        await kubelet.admit("second", GPU)


async def test_waits_for_a_kubelet_that_starts_later(scratch: Path) -> None:
    kubelet = KubeletStandin(scratch / "kubelet")
    async with jetson(scratch) as plugin:
        await plugin.wait_notified("READY=1\nSTATUS=serving 1 nvidia.com/gpu, waiting for a kubelet")
        assert kubelet.folder.stat().st_mode & 0o777 == 0o750, "made as the kubelet makes it"
        await kubelet.start()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        await plugin.wait_notified("STATUS=registered")
        await kubelet.stop()


async def test_survives_kubelet_restarts(scratch: Path, kubelet: KubeletStandin) -> None:
    async with jetson(scratch) as plugin:
        for restarts in range(5):
            await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
            assert kubelet.registrations == restarts + 1
            await kubelet.restart()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert plugin.process.returncode is None


async def test_serves_anew_when_only_its_own_socket_is_removed(scratch: Path, kubelet: KubeletStandin) -> None:
    async with jetson(scratch) as plugin:
        await kubelet.wait_for(lambda: kubelet.registrations == 1)
        (kubelet.folder / "nvidia-gpu.sock").unlink()
        await kubelet.wait_for(lambda: kubelet.registrations == 2 and kubelet.capacity(GPU) == 1)
        await plugin.wait_log("nvidia-gpu.sock was removed, serving anew")


async def test_tries_again_when_the_kubelet_is_bound_but_does_not_listen_yet(scratch: Path) -> None:
    folder = scratch / "kubelet"
    folder.mkdir()
    async with jetson(scratch) as plugin:
        await plugin.wait_notified("waiting for a kubelet")
        with socket.socket(socket.AF_UNIX) as slow:
            slow.bind(str(folder / "kubelet.sock"))
            await plugin.wait_notified("nobody answers")  # it has been refused many times
            slow.setblocking(False)
            slow.listen()  # no file changes now: only a retry can notice
            connection, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(slow), 30)
            connection.close()


async def test_notices_a_kubelet_whose_socket_has_its_predecessors_inode(scratch: Path,
                                                                         kubelet: KubeletStandin) -> None:
    async with jetson(scratch) as plugin:
        await plugin.wait_notified("STATUS=registered")
        before = kubelet.socket.stat()
        # So that it cannot see the moment without a socket.
        plugin.process.send_signal(signal.SIGSTOP)
        await asyncio.to_thread(os.waitid, os.P_PID, plugin.process.pid, os.WSTOPPED | os.WNOWAIT)
        await kubelet.stop()
        kubelet.socket.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(kubelet.socket))
            if (after := kubelet.socket.stat()).st_ino != before.st_ino:
                pytest.skip("a file system that gives a new file the inode of a removed one: TMPDIR on ext4")
            assert after.st_ctime_ns != before.st_ctime_ns
            successor.setblocking(False)
            successor.listen()
            plugin.process.send_signal(signal.SIGCONT)
            connection, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(successor), 30)
            connection.close()


async def test_a_refused_registration_is_reported_in_the_kubelets_words(scratch: Path) -> None:
    class Refusing(KubeletStandin):
        async def Register(self, request, context):  # type: ignore[no-untyped-def]
            request.version = "v1alpha"
            return await super().Register(request, context)

    kubelet = Refusing(scratch / "kubelet")
    await kubelet.start()
    async with jetson(scratch) as plugin:
        await plugin.wait_log(r"<3>expected the kubelet at .* to register .*'v1alpha' is not supported")
        assert plugin.process.returncode is None
    await kubelet.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
async def test_a_signal_ends_it_cleanly(scratch: Path, kubelet: KubeletStandin, number: signal.Signals) -> None:
    async with jetson(scratch) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert await plugin.end(number) == 0
        await plugin.wait_notified("STOPPING=1")
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 0)
        assert [entry.name for entry in kubelet.folder.iterdir()] == ["kubelet.sock"], "its own socket is gone"


async def test_replaces_the_socket_of_a_killed_predecessor(scratch: Path, kubelet: KubeletStandin) -> None:
    async with jetson(scratch) as killed:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        await killed.end(signal.SIGKILL)
    assert (kubelet.folder / "nvidia-gpu.sock").is_socket()
    await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 0)
    async with jetson(scratch):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)


async def test_refuses_to_run_twice_on_one_socket(scratch: Path, kubelet: KubeletStandin) -> None:
    async with jetson(scratch) as first:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        async with jetson(scratch) as second:
            assert await second.end() == 1
            assert f"found process {first.process.pid} there" in second.log[-1]
        await kubelet.admit("pod", GPU)
        assert kubelet.registrations == 1, "the first one was left alone"


async def test_leaves_what_is_no_socket_alone(scratch: Path) -> None:
    folder = scratch / "kubelet"
    folder.mkdir()
    (folder / "nvidia-gpu.sock").write_text("somebody's notes")
    async with jetson(scratch) as plugin:
        assert await plugin.end() == 1
        assert "expected a socket or nothing at" in plugin.log[-2] + plugin.log[-1]
    assert (folder / "nvidia-gpu.sock").read_text() == "somebody's notes"


@pytest.fixture
def read_only(scratch: Path) -> list[str]:
    """The kubelet's folder, and what runs a command to which it is mounted read-only: root may write to any mode."""
    folder = scratch / "kubelet"
    folder.mkdir()
    command = ["unshare", "--map-root-user", "--mount", "sh", "-ec",
               'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec "$@"', str(folder)]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("user namespaces: run this outside of a container, or in one that allows them")
    return command


async def test_a_folder_that_takes_no_socket_is_named(scratch: Path, read_only: list[str]) -> None:
    command = [*read_only, sys.executable, "-m", "nvidia_device_plugin"]
    async with jetson(scratch, command=command, environ={"PYTHONPATH": str(SOURCE)}) as plugin:
        assert await plugin.end() == 1
        assert plugin.log[-1].startswith(f"<3>expected to serve at {scratch}/kubelet/nvidia-gpu.sock")


async def test_serves_anew_when_its_folder_is_taken_away(scratch: Path) -> None:
    async with jetson(scratch) as plugin:
        await plugin.wait_notified("READY=1")
        (scratch / "kubelet").rename(scratch / "moved")
        await plugin.wait_log(f"Serving '{GPU}' on {scratch}/kubelet/nvidia-gpu.sock", count=2)
        kubelet = KubeletStandin(scratch / "kubelet")
        await kubelet.start()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        await kubelet.stop()


async def test_a_socket_path_that_the_kernel_cannot_hold_is_named(scratch: Path) -> None:
    async with jetson(scratch, folder=scratch / ("x" * 100)) as plugin:
        assert await plugin.end() == 1
        assert any("expected a socket path of at most 107 bytes" in line for line in plugin.log)


async def test_a_flag_wins_over_the_environment(scratch: Path, kubelet: KubeletStandin) -> None:
    async with jetson(scratch, environ={"KUBELET_SOCKET": "/nowhere/kubelet.sock"}):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)


async def test_tells_the_watchdog_that_it_lives(scratch: Path) -> None:
    async with jetson(scratch, environ={"WATCHDOG_USEC": "200000"}) as plugin:
        await plugin.wait_notified("WATCHDOG=1", count=3)


async def test_somebody_elses_watchdog_is_not_fed(scratch: Path, kubelet: KubeletStandin) -> None:
    async with jetson(scratch, environ={"WATCHDOG_USEC": "200000", "WATCHDOG_PID": str(os.getpid())}) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        await plugin.end(signal.SIGTERM)
        assert not any("WATCHDOG=1" in text for text in plugin.notified)
