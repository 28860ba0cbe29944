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
