# SPDX-License-Identifier: MIT
"""A service manager that does not read, streams that are closed, signals at the wrong moment."""

import asyncio
import signal
import socket
import sys
from pathlib import Path

import pytest

from nvidia_device_plugin.daemon.systemd import Notifier
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import SOURCE, jetson

GPU = "nvidia.com/gpu"


@pytest.fixture
def manager(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """systemd's end of the notification socket."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    end.bind(str(scratch / "notify"))
    end.settimeout(30)
    monkeypatch.setenv("NOTIFY_SOCKET", str(scratch / "notify"))
    return end


async def test_a_manager_that_does_not_read_blocks_nothing(manager: socket.socket) -> None:
    notifier = Notifier({})
    for number in range(2000):  # far more than a socket's queue holds
        notifier.ready(f"status {number}")

    def drained() -> str:
        while (text := manager.recv(4096).decode()) != "READY=1\nSTATUS=status 1999":
            pass
        return text

    assert await asyncio.to_thread(drained)
    notifier.close()
    manager.close()


async def test_a_manager_that_goes_away_takes_no_gpu_with_it(scratch: Path, kubelet: KubeletStandin,
                                                             manager: socket.socket) -> None:
    async with jetson(scratch, environ={"NOTIFY_SOCKET": str(scratch / "notify")}) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        manager.close()
        await kubelet.stop()
        kubelet.socket.unlink(missing_ok=True)
        await plugin.wait_log("waiting for a kubelet")  # which is a new status
        await kubelet.start()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)


async def test_a_status_in_any_script_is_sent(manager: socket.socket) -> None:
    notifier = Notifier({})
    notifier.ready("kubelet said: 拒否\n€")
    notifier.close()
    assert manager.recv(4096).decode() == "READY=1\nSTATUS=kubelet said: 拒否?€"
    manager.close()


async def test_a_watchdog_interval_that_is_no_number_is_said_and_passed_over(scratch: Path,
                                                                            kubelet: KubeletStandin) -> None:
    async with jetson(scratch, environ={"WATCHDOG_USEC": "soon"}) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        await plugin.wait_log("<4>expected WATCHDOG_USEC to be a number of microseconds, found 'soon'")


async def test_it_serves_with_stderr_closed(scratch: Path, kubelet: KubeletStandin) -> None:
    command = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", sys.executable, "-m", "nvidia_device_plugin"]
    async with jetson(scratch, command=command, environ={"PYTHONPATH": str(SOURCE)}) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        plugin.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(plugin.process.wait(), 30) == 0


async def test_a_traceback_has_the_journals_priority(scratch: Path) -> None:
    broken = ("import sys, nvidia_device_plugin.config as config\nconfig.load = lambda *_: 1 / 0\n"
              "from nvidia_device_plugin.cli import main\nsys.exit(main())")
    async with jetson(scratch, command=[sys.executable, "-c", broken], environ={"PYTHONPATH": str(SOURCE)}) as plugin:
        assert await plugin.end() == 1
    assert any("ZeroDivisionError" in line for line in plugin.log)
    assert all(line.startswith("<") for line in plugin.log)


@pytest.mark.parametrize("last", [signal.SIGHUP, signal.SIGTERM])
async def test_signals_while_it_starts_leave_nothing_behind(scratch: Path, kubelet: KubeletStandin,
                                                            last: signal.Signals) -> None:
    for _ in range(5):
        async with jetson(scratch) as plugin:
            await plugin.wait_log("Starting OS watcher")
            for _ in range(20):
                plugin.process.send_signal(signal.SIGHUP)
                await asyncio.sleep(0)
            if last == signal.SIGHUP:
                await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
            assert await plugin.end(signal.SIGTERM) == 0
        assert not any("Traceback" in line for line in plugin.log)
        assert {path.name for path in kubelet.folder.iterdir()} <= {"kubelet.sock"}
