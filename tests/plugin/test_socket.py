# SPDX-License-Identifier: MIT
"""The plugin's socket as a file: who may use it, and that a failed start leaves nothing of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from plugin.calls import SOCKET
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import SOURCE, jetson

GPU = "nvidia.com/gpu"
PROGRAM = [sys.executable, "-m", "nvidia_device_plugin"]
ENVIRON = {"PYTHONPATH": str(SOURCE)}


@pytest.mark.parametrize("umask", ["0000", "0022", "0077"])
async def test_only_its_owner_may_use_it(scratch: Path, kubelet: KubeletStandin, umask: str) -> None:
    command = ["sh", "-c", f'umask {umask}; exec "$@"', "sh", *PROGRAM]
    async with jetson(scratch, command=command, environ=ENVIRON):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert (kubelet.folder / SOCKET).stat().st_mode & 0o7777 == 0o600
        assert (kubelet.folder / ".nv").stat().st_mode & 0o7777 == 0o700, "where it is bound, before its mode is set"


@pytest.fixture
def irreplaceable(scratch: Path) -> list[str]:
    """What runs a command for which the socket of a predecessor is a mount, which no file can replace."""
    folder = scratch / "kubelet"
    folder.mkdir()
    make = f"import socket; socket.socket(socket.AF_UNIX).bind({str(folder / SOCKET)!r})"
    subprocess.run([sys.executable, "-c", make], check=True)
    command = ["unshare", "--map-root-user", "--mount", "sh", "-ec", 'mount --bind "$0" "$0"; exec "$@"',
               str(folder / SOCKET)]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("user namespaces: run this outside of a container, or in one that allows them")
    return command


async def test_a_failed_start_leaves_nothing_behind(scratch: Path, irreplaceable: list[str]) -> None:
    async with jetson(scratch, command=[*irreplaceable, *PROGRAM], environ=ENVIRON) as plugin:
        assert await plugin.end() == 1
        assert f"{scratch}/kubelet/{SOCKET}" in plugin.log[-1] and "busy" in plugin.log[-1]
    assert [entry.name for entry in (scratch / "kubelet").iterdir()] == [SOCKET], "what was there before"


async def test_the_longest_path_that_the_kernel_holds_is_served(scratch: Path) -> None:
    """A socket's path has 107 bytes at most: unix(7)."""
    folder = scratch / ("x" * (107 - len(f"{scratch}//{SOCKET}")))
    kubelet = KubeletStandin(folder)
    await kubelet.start()
    async with jetson(scratch, folder=folder):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
    await kubelet.stop()
    async with jetson(scratch, folder=folder.with_name(folder.name + "x")) as plugin:
        assert await plugin.end() == 1
        assert any("at most 107 bytes, found 108" in line for line in plugin.log)


async def test_a_plugin_that_starts_before_any_kubelet_makes_the_folder(scratch: Path) -> None:
    kubelet = KubeletStandin(scratch / "var/lib/kubelet")
    async with jetson(scratch, folder=kubelet.folder) as plugin:
        await plugin.wait_notified("READY=1")
        assert (kubelet.folder / SOCKET).is_socket()
        await kubelet.start()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
    await kubelet.stop()
