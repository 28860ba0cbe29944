# SPDX-License-Identifier: MIT
"""The units around k3s, as systemd composes and judges them, with the k3s units of both releases."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from wr_nvidia_k8s.build.kas import LAYERS
from wr_nvidia_k8s.common.paths import TOP

RECIPES = TOP / "recipes-containers"
CONFIG = RECIPES / "k3s/k3s-config"
OURS = {
    "boot-settings.service": TOP / "meta-wr-nvidia-k8s/recipes-core/boot-settings/boot-settings",
    "k3s-node-labels.service": RECIPES / "k3s/k3s-node-labels",
    "k3s-time-sync.service": RECIPES / "k3s/k3s-time-sync",
    "container-images-preload.service": RECIPES / "container-images-preload/container-images-preload",
}
RELEASES = {"lts24": LAYERS, "lts22": LAYERS / "lts22"}
# systemd 252's score. It may fall, by a better sandbox, and is then lowered here.
HIGHEST_EXPOSURE = {
    "boot-settings.service": 4.2,  # it mounts the boot medium, writes to /etc, sets the host name
    "k3s-time-sync.service": 1.4,  # it asks the kernel for the clock's state
    "k3s-node-labels.service": 0.9,
    "container-images-preload.service": 0.9,
}
K3S = ("k3s.service", "k3s-agent.service")
OTHERS = ("docker.service", "containerd.service", "nvidia-container-setup.service")
STAND_IN = "[Unit]\nDescription=stand-in\n[Service]\nType=oneshot\nExecStart=/bin/true\n"


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> Path:
    """The layer trees of a release."""
    trees = RELEASES[request.param]
    if not (trees / "meta-virtualization").is_dir():
        pytest.skip(f"{trees}/meta-virtualization: KAS_WORK_DIR={LAYERS} kas checkout")
    return trees


def lay_out(folder: Path, release: Path | None) -> Path:
    """A folder of units as they are in an agent's image, with ``release``'s own units of k3s."""
    folder.mkdir(parents=True)
    for name, source in OURS.items():
        text = (source / name).read_text()
        # What is started need not be there for systemd's judgement of the rest.
        (folder / name).write_text(re.sub(r"(?m)^ExecStart=(.*\\\n)*.*", "ExecStart=/bin/true", text))
    for name in OTHERS:
        (folder / name).write_text(STAND_IN)
    shutil.copy(CONFIG / "k3s-agent.path", folder)
    for name in K3S:
        unit = STAND_IN
        if release:
            unit = (release / "meta-virtualization/recipes-containers/k3s/k3s" / name).read_text()
            unit = unit.replace("/usr/local/bin/", "/bin/true ").replace("/sbin/modprobe", "/bin/true")
        (folder / name).write_text(unit)
        (folder / f"{name}.d").mkdir()
        shutil.copy(CONFIG / "10-docker.conf", folder / f"{name}.d")
    shutil.copy(CONFIG / "10-agent.conf", folder / "k3s-agent.service.d")
    return folder


def analyze(folder: Path, *arguments: str, level: str = "debug") -> str:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze: apt-get install systemd")
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:", "SYSTEMD_LOG_LEVEL": level}
    done = subprocess.run(
        ["systemd-analyze", "--man=no", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def composed(output: str, name: str) -> dict[str, list[str]]:
    """The unit ``name`` with its drop-ins and what others say of it: key to values."""
    dump = output.split(f"-> Unit {name}:")[1].split("-> Unit ")[0]
    unit: dict[str, list[str]] = {}
    for key, value in re.findall(r"^\s+([A-Z][\w ]+): (.*)$", dump, re.MULTILINE):
        unit.setdefault(key, []).append(re.sub(r" \((origin|destination)-.*\)$", "", value))
    return unit


def test_systemd_finds_nothing_to_complain_about(tmp_path: Path, release: Path) -> None:
    units = lay_out(tmp_path / "units", release)
    names = [*OURS, "k3s.service", "k3s-agent.service", "k3s-agent.path"]
    output = analyze(units, "verify", *(str(units / name) for name in names), level="info")
    # What systemd says of a line has the line's number; an ordering that cannot be is said of units.
    complaints = [line for line in output.splitlines() if re.search(rf"^{tmp_path}\S+:\d+: |cycle", line)]
    assert complaints == []


@pytest.mark.parametrize("name", K3S)
def test_k3s_starts_after_all_that_it_stands_on_and_needs_the_users_settings_alone(
    tmp_path: Path, release: Path, name: str
) -> None:
    units = lay_out(tmp_path / "units", release)
    output = analyze(units, "verify", *(str(units / each) for each in (*OURS, *OTHERS, name)))
    unit = composed(output, name)
    # By sysinit.target, which nearly everything is after.
    early = "boot-settings.service"
    assert {"sysinit.target", *OURS, *OTHERS} - {early} <= set(unit["After"])
    assert "sysinit.target" in composed(output, early)["Before"]
    assert f"RequiredBy={' '.join(K3S)}" in (OURS[early] / early).read_text().splitlines()
    assert "docker.service" in unit["Wants"]
    assert not {*OURS, "docker.service", "nvidia-container-setup.service"} & set(unit["Requires"])
    preload = composed(output, "container-images-preload.service")
    assert "docker.service" in preload["After"]


def test_restarting_an_agent_leaves_the_network_of_running_containers_alone(tmp_path: Path, release: Path) -> None:
    units = lay_out(tmp_path / "units", release)
    text = (units / "k3s-agent.service").read_text()
    assert "k3s-clean" in text, "expected what our drop-in is there to switch off; it can go"
    output = analyze(units, "verify", str(units / "k3s-agent.service"))
    unit = output.split("-> Unit k3s-agent.service:")[1].split("-> Unit ")[0]
    assert "k3s agent" in unit and "k3s-clean" not in unit


def test_an_agent_waits_for_its_token(tmp_path: Path, release: Path) -> None:
    units = lay_out(tmp_path / "units", release)
    output = analyze(units, "verify", str(units / "k3s-agent.path"), str(units / "k3s-agent.service"))
    token = yaml.safe_load((CONFIG / "agent.yaml").read_text())["token-file"]
    assert any("ConditionPathExists" in line and token in line for line in output.splitlines())
    assert "network-online.target" in composed(output, "k3s-agent.service")["After"]
    path = composed(output, "k3s-agent.path")
    assert path["Unit"] == ["k3s-agent.service"]
    assert path["PathChanged"] == [token], "not PathExists, which would start an agent anew that somebody stops"


@pytest.mark.parametrize("name", OURS)
def test_the_sandbox_only_gets_tighter(
        tmp_path: Path, name: str, record_property: Callable[[str, object], None]) -> None:
    units = lay_out(tmp_path / "units", None)
    output = analyze(units, "security", "--offline=true", "--no-pager", str(units / name))
    match = re.search(rf"Overall exposure level for {name}: ([\d.]+)", output)
    assert match, output
    record_property(name, f"systemd-analyze security: {match[1]}")
    assert float(match[1]) <= HIGHEST_EXPOSURE[name]


def test_agent_is_started_at_boot_against_its_own_preset(tmp_path: Path, release: Path) -> None:
    """As the release's image class does it: with OE-core's systemctl, which stands in for systemd's."""
    units = lay_out(tmp_path / "usr/lib/systemd/system", release)
    presets = units.parent / "system-preset"
    presets.mkdir()
    # What systemd.bbclass makes of the k3s recipe's SYSTEMD_AUTO_ENABLE, and of this layer's recipes.
    (presets / "98-k3s-agent.preset").write_text("disable k3s-agent.service\n")
    (presets / "98-k3s-config.preset").write_text("enable k3s-agent.path\n")
    shutil.copy(CONFIG / "90-k3s-agent.preset", presets)
    systemctl = release / "oe-core/meta/recipes-core/systemd/systemd-systemctl/systemctl"
    subprocess.run(["python3", systemctl, f"--root={tmp_path}", "--preset-mode=enable-only", "preset-all"], check=True)
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    assert {"k3s-agent.service", "k3s-agent.path"} <= {path.name for path in wants.iterdir()}
