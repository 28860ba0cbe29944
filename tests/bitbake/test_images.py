# SPDX-License-Identifier: MIT
"""Every image parses on its real layers without a complaint about us, and its dry run resolves every task."""

import json
import os
import re
import subprocess
from typing import Any

import pytest

from wr_nvidia_k8s import kas_build

# What a node is made of, as recipes; each board adds what makes containers see its GPU.
NODE = {"docker-ce", "docker-moby", "git", "k3s", "k3s-config", "openssh", "packagegroup-wr-nvidia-k8s", "systemd"}
JETSON = {"docker-daemon-config", "nvidia-container-toolkit", "nvidia-container-toolkit-config"}
BOARDS = {"jetson-orin-nano": NODE | JETSON | {"linux-jammy-nvidia-tegra"}}


def test_every_board_is_checked() -> None:
    assert sorted(BOARDS) == kas_build.images()


@pytest.fixture(params=sorted(BOARDS))
def checked(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What scripts/check-image says of one board."""
    missing = kas_build.missing_trees(kas_build.read([f"kas/{request.param}.yml"]))
    if missing:
        pytest.skip(
            f"layer trees {', '.join(missing)} in {kas_build.LAYERS}: "
            f"KAS_WORK_DIR={kas_build.LAYERS} kas checkout kas/{request.param}.yml"
        )
    command = [kas_build.TOP / "scripts" / "check-image", "--json", request.param]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == os.EX_UNAVAILABLE:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.stdout, done.stderr[-4000:]
    result: dict[str, Any] = json.loads(done.stdout)
    with capsys.disabled():
        figures = {key: result[key] for key in ("recipes", "variants", "tasks", "seconds")}
        print(f"\n{request.param}: {json.dumps(figures)}")
    return result


def test_image_can_be_built(checked: dict[str, Any]) -> None:
    assert checked["problems"] == []
    assert checked["ok"]
    recipes = {re.sub(r"(_[^_]*)?\.bb$", "", file) for file in checked["built"]}
    assert sorted(BOARDS[checked["image"]] - recipes) == []
    assert recipes & {"docker", "docker-moby"} == {"docker-moby"}, "expected one Docker engine"
    assert "nvidia-docker" not in recipes, "it installs a daemon.json of its own"
