# SPDX-License-Identifier: MIT
"""Every image parses on its real layers without a complaint about us, and its dry run resolves every task."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from wr_nvidia_k8s import kas_build

# What a node is made of, as recipes; each board adds what makes containers see its GPU.
NODE = {
    "docker-ce", "docker-moby", "git", "k3s", "k3s-config", "nvidia-device-plugin", "openssh",
    "packagegroup-wr-nvidia-k8s", "systemd",
}  # fmt: skip
JETSON = {"docker-daemon-config", "nvidia-container-toolkit", "nvidia-container-toolkit-config"}
BOARDS = {"jetson-orin-nano": NODE | JETSON | {"linux-jammy-nvidia-tegra"}}


def test_every_board_is_checked() -> None:
    assert sorted(BOARDS) == kas_build.images()


@pytest.mark.parametrize("board", sorted(BOARDS))
def test_image_can_be_built(board: str, check_image: Callable[[str], dict[str, Any]]) -> None:
    checked = check_image(board)
    assert checked["problems"] == []
    assert checked["ok"]
    recipes = {re.sub(r"(_[^_]*)?\.bb$", "", file) for file in checked["built"]}
    assert sorted(BOARDS[board] - recipes) == []
    assert recipes & {"docker", "docker-moby"} == {"docker-moby"}, "expected one Docker engine"
    assert "nvidia-docker" not in recipes, "it installs a daemon.json of its own"
