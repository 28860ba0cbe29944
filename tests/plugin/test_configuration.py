# SPDX-License-Identifier: MIT
"""Flags, environment and file: what is taken, what is refused and how, and what a reload does."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nvidia_device_plugin import config
from nvidia_device_plugin.config.options import OPTIONS, Option
from nvidia_device_plugin.errors import ConfigError
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import SOURCE, jetson

GPU = "nvidia.com/gpu"


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("version: v1\nflags:\n  deviceDiscoveryStrategy: nvml\n  failOnInitError: false\n"
                    "  plugin: {passDeviceSpecs: true, deviceIDStrategy: index, deviceListStrategy: [envvar]}\n")
    flags = {"config-file": str(file), "device-discovery-strategy": "tegra"}
    environ = {"DEVICE_DISCOVERY_STRATEGY": "auto", "DEVICE_ID_STRATEGY": "uuid"}
    settings = config.load(flags, environ)
    assert settings.device_discovery_strategy == "tegra"
    assert settings.device_id_strategy == "uuid"
    assert settings.pass_device_specs
    assert not settings.fail_on_init_error


def test_device_nodes_are_looked_up_below_the_driver_root_unless_told_otherwise(tmp_path: Path) -> None:
    assert config.load({"driver-root": str(tmp_path)}, {}).dev_root == tmp_path
    assert config.load({"driver-root": str(tmp_path), "dev-root": "/"}, {}).dev_root == Path("/")


def test_without_a_kubelet_socket_nothing_is_registered_with() -> None:
    settings = config.load({"kubelet-socket": ""}, {})
    assert settings.kubelet_socket is None
    assert settings.socket_dir == Path("/var/lib/kubelet/device-plugins")


@pytest.mark.parametrize(("text", "words"), [
    ("flags: [", "expected YAML: while parsing"),
    ("- a", "found ['a']"),
    ("version: v2", "version: expected v1, found 'v2'"),
    ("flags: 3", "flags: expected names with values, found 3"),
    ("flags: {plugin: 3}", "flags.plugin: expected names with values"),
    ("flags: {failOnInitErorr: true}", "unknown key 'flags.failOnInitErorr'; did you mean 'flags.failOnInitError'?"),
    ("flags: {plugin: {passDeviceSpecs: perhaps}}", "flags.plugin.passDeviceSpecs: expected true or false"),
    ("flags: {plugin: {deviceListStrategy: [envvar, cdi-annotations]}}", "'cdi-annotations' is not built yet (k3s"),
    ("flags: {plugin: {deviceListStrategy: [volume-mounts, envar]}}", "expected one of envvar, volume-mounts"),
    ("flags: {plugin: {deviceListStrategy: [envvar, 7]}}", "plugin.deviceListStrategy: expected text, found 7"),
    ("flags: {plugin: {deviceListStrategy: []}}", "expected one or more of envvar, volume-mounts"),
    ("flags: {plugin: {deviceListStrategy: {envvar: true}}}", "found {'envvar': True}"),
    ("flags: {plugin: {deviceIDStrategy: [uuid, index]}}", "expected text, found ['uuid', 'index']"),
    ("flags: {migStrategy: single}", "flags.migStrategy: 'single' is not built yet"),
    ("flags: {gdsEnabled: true}", "'gds-enabled' is not built yet"),
    ("flags: {nvidiaDriverRoot: 7}", "expected text, found 7"),
    ("sharing: {timeSlicing: {resources: []}}", "'sharing' is not built yet"),
    ("resources: {gpus: [{pattern: '*', name: nvidia.com/tpu}]}", "resources.gpus[0]"),
    ("resources: {mig: []}", "resources: expected 'gpus:'"),
])
def test_a_wrong_file_is_refused_naming_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        config.load({"config-file": str(file)}, {})
    assert str(file) in str(refusal.value)
    assert words in str(refusal.value)


@pytest.mark.parametrize("option", [option for option in OPTIONS if not option.is_built],
                         ids=lambda option: option.name)
def test_what_is_not_built_is_refused_by_name_unless_it_asks_for_nothing(option: Option) -> None:
    asked = "true" if option.is_bool else "something"
    with pytest.raises(ConfigError, match=f"flag --{option.name}: '{option.name}' is not built yet"):
        config.load({option.name: asked}, {})
    with pytest.raises(ConfigError, match=f"environment variable {option.env[0]}"):
        config.load({}, {option.env[0]: asked})
    config.load({option.name: "false" if option.is_bool else ""}, {})


@pytest.mark.parametrize(("arguments", "words"), [
    (["--no-such-flag"], "unrecognized arguments: --no-such-flag"),
    (["--device-list-strategy", "telepathy"], "expected one of envvar, volume-mounts"),
    (["--device-list-strategy", "envvar,telepathy"], "expected one of envvar, volume-mounts"),
    (["--device-list-strategy", ""], "flag --device-list-strategy: expected one of envvar, volume-mounts"),
    (["--device-list-strategy", "cdi-cri"], "cri-dockerd passes no CDI devices); built is: envvar, volume-mounts"),
    (["--fail-on-init-error=perhaps"], "flag --fail-on-init-error: expected true or false, found 'perhaps'"),
    (["--device-discovery-strategy=both", "--device-id-strategy=index"], "expected the device-id-strategy 'uuid'"),
    (["--kubelet-socket", "relative.sock"], "expected an absolute path"),
    (["--driver-root", "/no/such/folder"], "expected an existing folder, found none at '/no/such/folder'"),
    (["--config-file", "/no/such/file"], "configuration file /no/such/file: expected a readable YAML file"),
])
def test_a_wrong_flag_ends_it_with_exit_code_2(arguments: list[str], words: str) -> None:
    result = subprocess.run([sys.executable, "-m", "nvidia_device_plugin", *arguments], env={"PYTHONPATH": str(SOURCE)},
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert words in result.stderr.splitlines()[-1]
    assert result.stderr.splitlines()[-1].startswith("<3>")


async def test_a_reload_takes_the_new_configuration(scratch: Path, kubelet: KubeletStandin) -> None:
    file = scratch / "config.yaml"
    file.write_text("flags: {plugin: {passDeviceSpecs: false}}")
    async with jetson(scratch, "--config-file", str(file)) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert not (await kubelet.admit("before", GPU)).devices
        kubelet.remove("before")
        file.write_text("flags: {plugin: {passDeviceSpecs: true}}")
        plugin.process.send_signal(signal.SIGHUP)
        await plugin.wait_log("Reloaded the configuration")
        assert (await kubelet.admit("after", GPU)).devices
        assert kubelet.registrations == 1, "the name and the socket stay, and so does the registration"
        await plugin.wait_notified("RELOADING=1\nMONOTONIC_USEC=")
        await plugin.wait_notified("READY=1", count=2)


async def test_a_reload_with_a_mistake_changes_nothing(scratch: Path, kubelet: KubeletStandin) -> None:
    file = scratch / "config.yaml"
    file.write_text("flags: {plugin: {passDeviceSpecs: true}}")
    async with jetson(scratch, "--config-file", str(file)) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        file.write_text("flags: {plugin: {passDeviceSpecs: perhaps}}")
        plugin.process.send_signal(signal.SIGHUP)
        await plugin.wait_log("<3>.*passDeviceSpecs: expected true or false.*the reload changed nothing")
        assert (await kubelet.admit("pod", GPU)).devices
        assert kubelet.registrations == 1
