# SPDX-License-Identifier: MIT
"""Which NVIDIA container toolkit an image is built with."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from wr_nvidia_k8s import kas_build

# CVE-2025-23266, a container's way to become root on its host, is fixed in this one; CVE-2024-0132 and
# CVE-2025-23359 are in earlier ones.
SAFE = (1, 17, 8)


class UnsafeToolkitError(Exception):
    """What is built has a known escape: the one failure that is expected."""


def boards() -> list[str]:
    """The Jetson boards whose image has Wind River Linux LTS24 as its base."""
    repos = {board: kas_build.read([f"kas/{board}.yml"])["repos"] for board in kas_build.images()}
    return [board for board, of in repos.items() if "meta-tegra" in of and "WindRiverLinux24" in of["wrlinux"]["url"]]


@pytest.mark.xfail(
    strict=True,
    raises=UnsafeToolkitError,
    reason="the layer has no recipe of nvidia-container-toolkit, and meta-tegra's is older: 1.16.2 on scarthgap",
)
@pytest.mark.parametrize("board", boards())
def test_no_version_with_a_known_escape_is_built(board: str, check_image: Callable[[str], dict[str, Any]]) -> None:
    recipe = re.compile(r"nvidia-container-toolkit_([\d.]+)\.bb")
    versions = [match[1] for file in check_image(board)["built"] if (match := recipe.fullmatch(file))]
    assert len(versions) == 1, f"expected one nvidia-container-toolkit in the image of {board}, found {versions}"
    if tuple(map(int, versions[0].split("."))) < SAFE:
        raise UnsafeToolkitError(f"expected {'.'.join(map(str, SAFE))} or newer in {board}, found {versions[0]}")
