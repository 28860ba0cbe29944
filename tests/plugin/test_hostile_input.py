# SPDX-License-Identifier: MIT
"""Configuration files, board files and requests that hold what nobody would write by hand."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from nvidia_device_plugin import config
from nvidia_device_plugin import deviceplugin_v1beta1_pb2 as api
from nvidia_device_plugin.errors import ConfigError
from plugin.calls import ask
from wr_nvidia_k8s.lab.jetson import lay_out
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import SOURCE, PluginProcess, jetson

GPU = "nvidia.com/gpu"
# The text, and the line that the mistake is in.
WRONG = {
    "impossible date": ("version: v1\nflags:\n  nvidiaDriverRoot: 2024-02-31\n", 3),
    "tag that does not fit": ("flags:\n  failOnInitError: !!int x\n", 2),
    "timestamp of nothing": ("flags:\n  failOnInitError: !!timestamp x\n", 2),
    "float of nothing": ("flags:\n  failOnInitError: !!float ''\n", 2),
    "unknown tag": ("flags:\n  failOnInitError: !python/object x\n", 2),
    "five thousand digits": ("version: v1\nflags:\n  failOnInitError: " + "7" * 5000 + "\n", 3),
    "large hexadecimal": ("flags:\n  failOnInitError: 0x" + "f" * 9000 + "\n", 2),
    "three thousand brackets": ("flags: " + "[" * 3000 + "]" * 3000 + "\n", 1),
    "list for a map": ("version: v1\nflags: []\n", 2),
    "false for a map": ("version: v1\nflags: false\n", 2),
    "empty text for a map": ("version: v1\nflags:\n  plugin: ''\n", 3),
    "list for the resources": ("version: v1\nresources: []\n", 2),
    "alias of itself": ("version: v1\nflags: &flags\n  plugin: *flags\n", 3),
    "list as a key": ("flags:\n  ? [a, b]\n  : c\n", 2),
    "tab": ("flags:\n\tfailOnInitError: true\n", 2),
    "control character": ("version: v1\nflags: \x07\n", 2),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, name: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(WRONG[name][0])
    with pytest.raises(ConfigError) as refusal:
        config.load({"config-file": str(file)}, {})
    assert f"{file}, line {WRONG[name][1]}" in str(refusal.value)
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a" * 1_000_000, b"\0"])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"configuration file {file}"):
        config.load({"config-file": str(file)}, {})


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "version: v1\n", "version: v1\nflags:\n  plugin:\n"])
def test_an_empty_file_or_section_sets_nothing_as_with_nvidias_plugin(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    assert config.load({"config-file": str(file)}, {}) == config.load({}, {})


def test_what_grows_by_its_aliases_costs_nothing(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 12)]
    file = tmp_path / "config.yaml"
    file.write_text("flags: {nvidiaDriverRoot: {" + ", ".join(lines) + "}}")
    with pytest.raises(ConfigError) as refusal:
        config.load({"config-file": str(file)}, {})
    assert len(str(refusal.value)) < 1000


def test_at_the_start_it_is_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(WRONG["impossible date"][0])
    result = subprocess.run([sys.executable, "-m", "nvidia_device_plugin", "--config-file", file],
                            env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, timeout=60)
    assert (result.returncode, len([line for line in result.stderr.splitlines() if "<3>" in line])) == (2, 1)


async def test_a_reload_of_any_of_them_changes_nothing(scratch: Path, kubelet: KubeletStandin) -> None:
    file = scratch / "config.yaml"
    file.write_text("flags: {plugin: {passDeviceSpecs: true}}")
    async with jetson(scratch, "--config-file", str(file)) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        for count, (text, _) in enumerate(WRONG.values(), 1):
            file.write_text(text)
            plugin.process.send_signal(signal.SIGHUP)
            await plugin.wait_log("<3>.*the reload changed nothing", count=count)
        assert (await kubelet.admit("pod", GPU)).devices
        assert kubelet.registrations == 1


async def test_what_nobody_foresaw_in_a_reload_is_logged_and_survived(scratch: Path, kubelet: KubeletStandin) -> None:
    broken = ("import sys, nvidia_device_plugin.config as config; load, calls = config.load, []\n"
              "def fail(*arguments):\n    calls.append(1)\n    return load(*arguments) if len(calls) == 1 else 1 / 0\n"
              "config.load = fail\nfrom nvidia_device_plugin.cli import main\nsys.exit(main())")
    async with jetson(scratch, command=[sys.executable, "-c", broken], environ={"PYTHONPATH": str(SOURCE)}) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        plugin.process.send_signal(signal.SIGHUP)
        await plugin.wait_log("<3>ZeroDivisionError")
        await kubelet.admit("pod", GPU)


async def test_a_line_of_the_runtimes_lists_that_is_no_path_is_passed_over(scratch: Path,
                                                                           kubelet: KubeletStandin) -> None:
    root = lay_out(scratch / "board")
    (root / "etc/nvidia-container-runtime/host-files-for-container.d/more.csv").write_bytes(
        b"dev, /dev/" + b"x" * 300 + b"\ndev, /dev/a\0b\ndev, /dev/" + b"y/" * 5000 + b"\ndev, /dev/[\n")
    async with PluginProcess(scratch, "--driver-root", str(root), "--kubelet-socket", str(kubelet.socket)):
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)


@pytest.fixture
async def plugin(scratch: Path, kubelet: KubeletStandin) -> AsyncIterator[PluginProcess]:
    async with jetson(scratch) as process:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        yield process


async def refused(kubelet: KubeletStandin, method: str, request: object) -> str:
    """The details of an INVALID_ARGUMENT."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await ask(kubelet.folder, method, request)
    assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    return refusal.value.details() or ""


async def test_a_device_repeated_many_thousand_times_is_answered_at_once(plugin: PluginProcess,
                                                                        kubelet: KubeletStandin) -> None:
    request = api.AllocateRequest()
    request.container_requests.add(devices_ids=["0"] * 100_000)
    assert "'0' repeated" in await refused(kubelet, "Allocate", request)
    await kubelet.admit("pod", GPU)


async def test_a_request_beyond_all_bounds_is_refused_by_grpc(plugin: PluginProcess, kubelet: KubeletStandin) -> None:
    request = api.AllocateRequest()
    request.container_requests.add(devices_ids=["0"] * 1_000_000)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await ask(kubelet.folder, "Allocate", request)
    assert refusal.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    await kubelet.admit("pod", GPU)


@pytest.mark.parametrize("method", ["Allocate", "GetPreferredAllocation", "PreStartContainer"])
async def test_what_is_repeated_of_a_request_is_clipped(plugin: PluginProcess, kubelet: KubeletStandin,
                                                        method: str) -> None:
    name = "x" * 20_000
    request = {"Allocate": api.AllocateRequest(container_requests=[{"devices_ids": [name]}]),
               "GetPreferredAllocation": api.PreferredAllocationRequest(container_requests=[
                   {"available_deviceIDs": ["0"], "must_include_deviceIDs": [name], "allocation_size": 1}]),
               "PreStartContainer": api.PreStartContainerRequest(devices_ids=[name])}[method]
    details = await refused(kubelet, method, request)
    assert "xxx" in details and len(details) < 1000
    await plugin.wait_log("<3>refused: ")
    assert all(len(line) < 1000 for line in plugin.log)


async def test_control_characters_of_a_request_make_no_lines_of_the_log(plugin: PluginProcess,
                                                                        kubelet: KubeletStandin) -> None:
    await refused(kubelet, "PreStartContainer", api.PreStartContainerRequest(devices_ids=["a\n<0>b"]))
    await plugin.wait_log("<3>refused: ")
    assert not any(line.startswith(("<3><0>", "<0>")) for line in plugin.log)


@pytest.mark.parametrize("method", ["Allocate", "ListAndWatch"])
async def test_bytes_that_are_no_request_are_refused_in_one_line(plugin: PluginProcess, kubelet: KubeletStandin,
                                                                method: str) -> None:
    async with grpc.aio.insecure_channel(f"unix:{kubelet.folder}/nvidia-gpu.sock") as channel:
        name = f"/v1beta1.DevicePlugin/{method}"
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            if method == "ListAndWatch":
                await channel.unary_stream(name, None, None)(b"\xff\xff\xff", timeout=30).read()
            else:
                await channel.unary_unary(name, None, None)(b"\xff\xff\xff", timeout=30)
    assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    await plugin.wait_log(f"<3>refused: {method}: expected a v1beta1")
    assert not any("Traceback" in line for line in plugin.log)
