# SPDX-License-Identifier: MIT
"""The plugin under a real kubelet and containerd, with real pods, on a simulated Jetson."""

import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wr_nvidia_k8s.common.paths import PLUGIN
from wr_nvidia_k8s.lab.jetson import lay_out
from wr_nvidia_k8s.lab.kubelet import real
from wr_nvidia_k8s.lab.kubelet.real import KubeletError, RealKubelet

GPU = "nvidia.com/gpu"
# Of a major number for local use. A process that may open it is told that there is no such device, one that may
# not, that the operation is not permitted.
NO_DRIVER = os.makedev(240, 1 << 19)
PORTS = (10248, 10250, 10255)  # that a kubelet listens on
# Prints its environment, then works until it is told to end.
WORK = ["sh", "-c", "env; echo at work; trap exit TERM; sleep 3600 & wait"]
SOURCE = PLUGIN


@pytest.fixture(scope="module")
def machine() -> dict[str, object]:
    """What of the machine a kubelet or containerd would change, as it was before."""
    return machine_state()


@pytest.fixture(scope="module")
def kubelet(machine: object) -> Iterator[RealKubelet]:
    reason = real.unavailable()
    if reason:
        pytest.skip(reason)
    with RealKubelet() as running:
        yield running


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Jetson whose device nodes are nodes: containerd passes on nothing else."""
    root = lay_out(tmp_path_factory.mktemp("board"))
    for node in (root / "dev").rglob("*"):
        if node.is_file():
            node.unlink()
            os.mknod(node, stat.S_IFCHR | 0o666, NO_DRIVER)
    return root


def machine_state() -> dict[str, object]:
    made = [
        *("/var/lib/kubelet", "/var/lib/cni", "/var/log/pods", "/var/log/containers", "/usr/libexec/kubernetes"),
        *("/run/containerd", "/opt/containerd", "/opt/cni", "/etc/cni"),
        *("/sys/fs/cgroup/kubepods", "/sys/fs/cgroup/memory/kubepods", "/sys/fs/cgroup/cpuset/kubepods"),
    ]
    sysctls = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    return {
        "made": [path for path in made if Path(path).exists()],
        "set": {name: Path("/proc/sys", name).read_text() for name in sysctls},
        "mounted": [line for line in mounts if "kubelet" in line or "containerd" in line],
        "listening": [port for port in PORTS if not refuses(port)],
    }


def refuses(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


@contextmanager
def plugin_process(kubelet: RealKubelet, board: Path, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
    """The plugin as a process, known to the kubelet; killed at the end."""
    command = [sys.executable, "-m", "nvidia_device_plugin", "--device-discovery-strategy", "tegra"]
    roots = ["--driver-root", str(board), "--dev-root", str(board), "--kubelet-socket", str(kubelet.socket)]
    kubelet.forget_devices()
    with subprocess.Popen([*command, *roots, *flags], env={**os.environ, "PYTHONPATH": str(SOURCE)}) as process:
        try:
            kubelet.wait(lambda: process.poll() is not None or kubelet.capacity(GPU), f"{GPU} to be registered")
            assert process.poll() is None
            yield process
        finally:
            process.kill()


@pytest.fixture
def plugin(kubelet: RealKubelet, board: Path) -> Iterator[subprocess.Popen[bytes]]:
    with plugin_process(kubelet, board) as process:
        yield process


@pytest.fixture(autouse=True)
def no_pods_left(kubelet: RealKubelet) -> Iterator[None]:
    yield
    kubelet.remove_pods()


def environment(kubelet: RealKubelet, name: str) -> list[str]:
    """What the process of a pod that runs WORK finds in its environment."""
    kubelet.wait(lambda: "at work\n" in kubelet.output(name), f"the output of {name}")
    return kubelet.output(name).splitlines()[:-1]


def test_node_has_one_gpu(kubelet: RealKubelet, plugin: object) -> None:
    assert kubelet.capacity(GPU) == 1


def test_pod_gets_the_gpu_and_a_second_one_is_refused(kubelet: RealKubelet, plugin: object) -> None:
    first = kubelet.run_pod("first", WORK, {GPU: 1})
    assert first.running, first
    assert kubelet.devices("first", GPU) == ["0"]
    assert "NVIDIA_VISIBLE_DEVICES=0" in environment(kubelet, "first")

    second = kubelet.run_pod("second", WORK, {GPU: 1})
    assert (second.phase, second.reason) == ("Failed", "UnexpectedAdmissionError")
    assert GPU in second.message
    assert kubelet.devices("second", GPU) == []


def test_pod_without_a_limit_gets_no_gpu(kubelet: RealKubelet, plugin: object) -> None:
    assert kubelet.run_pod("other", WORK).running
    assert not any(variable.startswith("NVIDIA_") for variable in environment(kubelet, "other"))
    assert kubelet.devices("other", GPU) == []


def test_machine_is_left_as_it_is(kubelet: RealKubelet, machine: object) -> None:
    assert kubelet.run_pod("other", WORK).running
    assert machine_state() == machine
    in_the_room = kubelet.room.run(["busybox", "netstat", "-ltn"])
    assert all(f"127.0.0.1:{port} " in in_the_room for port in PORTS)


def test_two_pods_in_turn(kubelet: RealKubelet, plugin: object) -> None:
    for name in ("first", "second"):
        assert kubelet.run_pod(name, WORK, {GPU: 1}).running
        assert "NVIDIA_VISIBLE_DEVICES=0" in environment(kubelet, name)
        kubelet.remove_pod(name)


def test_device_nodes_reach_the_container(kubelet: RealKubelet, board: Path) -> None:
    nodes = [f"/{node.relative_to(board)}" for node in (board / "dev").rglob("*") if node.is_char_device()]
    assert nodes
    with plugin_process(kubelet, board, "--pass-device-specs"):
        assert kubelet.run_pod("first", WORK, {GPU: 1}).running
        for node in nodes:
            found = kubelet.execute("first", ["sh", "-c", f"test -c {node} && (: <>{node}) 2>&1; true"])
            assert "No such device or address" in found, f"{node}: {found}"


def test_volume_mounts_reach_the_runtime_of_the_pod_that_asks(kubelet: RealKubelet, board: Path) -> None:
    folder = "/var/run/nvidia-container-devices"
    with plugin_process(kubelet, board, "--device-list-strategy", "volume-mounts"):
        for name, resources in (("first", {GPU: 1}), ("other", {})):
            assert kubelet.run_pod(name, WORK, resources).running
        mounts = {name: kubelet.mounts(name) for name in ("first", "other")}
        assert {path: source for path, source in mounts["first"].items() if "nvidia" in path} == {
            f"{folder}/0": "/dev/null"
        }
        assert f"NVIDIA_VISIBLE_DEVICES={folder}" in environment(kubelet, "first")
        assert mounts["other"]
        assert not [path for path in mounts["other"] if "nvidia" in path]
        assert not any(variable.startswith("NVIDIA_") for variable in environment(kubelet, "other"))


def test_kubelet_restart_is_survived(kubelet: RealKubelet, plugin: subprocess.Popen[bytes]) -> None:
    before = kubelet.run_pod("first", WORK, {GPU: 1})
    kubelet.restart()
    kubelet.wait(lambda: kubelet.capacity(GPU) == 1, f"{GPU} to be registered again")
    assert plugin.poll() is None
    after = kubelet.pod_status("first")
    assert after is not None
    assert after.running
    assert after.container_id == before.container_id
    assert kubelet.devices("first", GPU) == ["0"]
    assert kubelet.run_pod("second", WORK, {GPU: 1}).reason == "UnexpectedAdmissionError"
    kubelet.remove_pod("first")
    assert kubelet.run_pod("third", WORK, {GPU: 1}).running


def test_killed_plugin_comes_back(kubelet: RealKubelet, board: Path) -> None:
    with plugin_process(kubelet, board):
        assert kubelet.run_pod("first", WORK, {GPU: 1}).running
    refused = kubelet.run_pod("second", WORK, {GPU: 1})
    assert refused.reason == "UnexpectedAdmissionError"
    kubelet.remove_pod("first")
    with plugin_process(kubelet, board):  # over the socket that the killed one left
        assert kubelet.run_pod("third", WORK, {GPU: 1}).running


def test_ended_pod_tells_its_output_and_exit_code(kubelet: RealKubelet) -> None:
    kubelet.run_pod("short", ["sh", "-c", "echo done; exit 3"])
    kubelet.wait(lambda: (status := kubelet.pod_status("short")) and status.ended, "short to end")
    status = kubelet.pod_status("short")
    assert status is not None
    assert (status.phase, status.exit_code, kubelet.output("short")) == ("Failed", 3, "done\n")


def test_container_that_cannot_start_is_told(kubelet: RealKubelet) -> None:
    status = kubelet.run_pod("wrong", ["/no/such/program"])
    assert not status.running
    assert "/no/such/program" in status.message


def test_wrong_pod_names_change_nothing(kubelet: RealKubelet) -> None:
    before = kubelet.run_pod("there", WORK)
    with pytest.raises(KubeletError, match="there"):
        kubelet.run_pod("there", ["true"])
    for asked in (kubelet.remove_pod, kubelet.output):
        with pytest.raises(KubeletError, match="found elsewhere"):
            asked("elsewhere")
    assert kubelet.pod_status("there") == before
