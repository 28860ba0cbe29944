# SPDX-License-Identifier: MIT
"""What kas/ changes in other layers is still needed: each reason is looked up in the pinned layer itself."""

import re
from pathlib import Path

import pytest

from wr_nvidia_k8s.build import kas


def tree(board: str, repo: str) -> Path:
    """Where the board's configuration has a repository."""
    config = kas.read([f"kas/{board}.yml"])
    folder = kas.LAYERS / (config["repos"][repo].get("path") or repo)
    if not folder.is_dir():
        pytest.skip(f"{folder}: KAS_WORK_DIR={kas.LAYERS} kas checkout kas/{board}.yml")
    return folder


def local_conf(board: str) -> str:
    return "\n".join(kas.read([f"kas/{board}.yml"])["local_conf_header"].values())


def test_masked_recipe_of_jetpack_4_would_ask_the_network() -> None:
    (masked,) = re.findall(r'BBMASK \+= "meta-tegra-jetpack4/(\S+)"', local_conf("jetson-nano"))
    recipe = tree("jetson-nano", "meta-tegra") / masked
    assert 'SRCREV = "${AUTOREV}"' in recipe.read_text()
    assert [other for other in recipe.parent.glob("tegra-boot-tools_*.bb") if other != recipe], "nothing in its place"


def test_kernel_of_the_pc_would_ask_the_network() -> None:
    assert 'SRCREV_meta:intel-x86 = "${SRCREV_meta_6.6}"' in local_conf("x86-64")
    kernel = tree("x86-64", "intel-x86") / "recipes-kernel/linux"
    assert 'SRCREV_meta:intel-x86 ?= "${AUTOREV}"' in (kernel / "linux-yocto-intel-x86.inc").read_text()
    pins = (tree("x86-64", "wrlinux") / "recipes-kernel/linux/srcrev.inc").read_text()
    assert re.search(r'^SRCREV_meta_6\.6 = "[0-9a-f]{40}"$', pins, re.MULTILINE)


def test_lts22_has_several_recipes_for_docker() -> None:
    assert 'PREFERRED_RPROVIDER_docker = "docker"' in local_conf("jetson-nano")
    recipes = tree("jetson-nano", "meta-virtualization") / "recipes-containers/docker"
    assert {file.name.split("_")[0] for file in recipes.glob("*.bb")} > {"docker", "docker-moby"}


@pytest.mark.parametrize("board", ["jetson-orin-nano", "jetson-nano"])
def test_wind_rivers_policy_is_what_is_overridden(board: str) -> None:
    wrlinux = tree(board, "wrlinux")
    assert "RECIPE_LIST_LAYERS ?=" in (wrlinux / "conf/wrlinux-recipelists.conf").read_text()
    distro = (wrlinux / "wrlinux-distro/conf/distro/wrlinux-common.inc").read_text()
    assert 'DISTRO_FEATURES_BACKFILL_CONSIDERED += "ldconfig"' in distro
