# SPDX-License-Identifier: MIT
"""The settings that the layer installs, as the programs that read them see them."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from wr_nvidia_k8s.build.kas import LAYERS

RECIPES = Path(__file__).resolve().parents[2] / "recipes-containers"
K3S_UNITS = LAYERS / "meta-virtualization/recipes-containers/k3s/k3s"
# What a unit is where its layer is not laid out: enough for a drop-in to change it.
STAND_IN = "[Unit]\nDescription=stand-in\n[Service]\nType=oneshot\nExecStart=/usr/bin/stand-in\n"


def test_docker_runs_every_container_with_the_nvidia_runtime() -> None:
    settings = json.loads((RECIPES / "docker/docker-daemon-config/daemon.json").read_text())
    default = settings["default-runtime"]
    assert default == "nvidia"
    assert settings["runtimes"][default]["path"] == "nvidia-container-runtime"


# kubernetes pkg/kubelet/apis/config/v1beta1/defaults.go: ContainerLogMaxSize "10Mi", of 1.20 to 1.34.
KUBELET_ROTATES_AT = 10 * 2**20


def test_docker_rotates_a_containers_log_before_the_kubelet_would() -> None:
    """cri-dockerd cannot have a log reopened: the kubelet would move away a file that Docker goes on writing to."""
    settings = json.loads((RECIPES / "docker/docker-daemon-config/daemon.json").read_text())
    assert settings["log-driver"] == "json-file"
    assert int(settings["log-opts"]["max-file"]) > 1, "expected the end of the last file to stay when a new one begins"
    size = re.fullmatch(r"(\d+)([km])", settings["log-opts"]["max-size"])
    assert size
    # go-units RAMInBytes: powers of 1024. A line of up to 16 KiB is written whole, with what JSON adds to it.
    assert int(size[1]) * {"k": 2**10, "m": 2**20}[size[2]] < KUBELET_ROTATES_AT - 2**20


def test_the_journal_is_kept_bounded_and_written_once(tmp_path: Path) -> None:
    """As systemd itself puts together the release's settings and ours."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze: apt-get install systemd")
    release = LAYERS / "oe-core/meta/recipes-core/systemd/systemd-conf/journald.conf"
    ours = RECIPES.parent / "meta-wr-nvidia-k8s/recipes-core/journal-config"
    recipe = next(ours.glob("*.bb")).read_text()
    (name,) = re.findall(r"/journald\.conf\.d/(\S+\.conf)$", recipe, re.MULTILINE)
    folder = tmp_path / "usr/lib/systemd/journald.conf.d"
    folder.mkdir(parents=True)
    text = release.read_text() if release.exists() else "[Journal]\nForwardToSyslog=yes\n"
    (folder / "00-systemd-conf.conf").write_text(text)
    (folder / name).write_text((ours / "journal-config/journald.conf").read_text())
    command = ["systemd-analyze", f"--root={tmp_path}", "cat-config", "systemd/journald.conf"]
    merged = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    settings = dict(re.findall(r"(?m)^(\w+)=(.*)$", merged))
    assert settings["Storage"] == "persistent"
    assert settings["ForwardToSyslog"] == "no"
    size = re.fullmatch(r"(\d+)M", settings["SystemMaxUse"])
    assert size and int(size[1]) <= 512


def test_k3s_uses_docker() -> None:
    assert yaml.safe_load((RECIPES / "k3s/k3s-config/config.yaml").read_text())["docker"] is True


def effective_unit(folder: Path, name: str) -> dict[str, list[str]]:
    """The unit ``name`` with its drop-ins from ``folder``, as systemd itself composes it: key to values."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze: apt-get install systemd")
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:", "SYSTEMD_LOG_LEVEL": "debug"}
    done = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", folder / name],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert re.findall(r"^.*\.conf:\d+: .*$", done.stderr, re.MULTILINE) == [], "systemd refuses a line of a drop-in"
    dump = (done.stdout + done.stderr).split(f"-> Unit {name}:")[1].split("-> Unit ")[0]
    unit: dict[str, list[str]] = {}
    for key, value in re.findall(r"^\s+([A-Z][\w ]+): (.*)$", dump, re.MULTILINE):
        unit.setdefault(key, []).append(value.removesuffix(" (origin-file)"))
    return unit


def lay_out(folder: Path, name: str, original: Path, drop_in: Path) -> None:
    """Put the unit ``name`` into ``folder``, with our drop-in as its recipe installs it."""
    text = original.read_text() if original.exists() else STAND_IN
    (folder / name).write_text(text)
    target = folder / f"{name}.d" / drop_in.name
    target.parent.mkdir()
    target.write_text(drop_in.read_text())


@pytest.mark.parametrize("name", ["k3s.service", "k3s-agent.service"])
def test_k3s_starts_after_docker_and_the_nvidia_set_up(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path, name, K3S_UNITS / name, RECIPES / "k3s/k3s-config/10-docker.conf")
    for other in ("docker.service", "containerd.service", "nvidia-container-setup.service"):
        (tmp_path / other).write_text(STAND_IN)
    unit = effective_unit(tmp_path, name)
    assert "docker.service" in unit["Wants"], "docker.socket alone does not start Docker at boot"
    assert {"docker.service", "nvidia-container-setup.service"} <= set(unit["After"])
