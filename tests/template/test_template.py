# SPDX-License-Identifier: MIT
"""The template feature/nvidia-k8s in a project as Wind River's setup.sh makes it, by real BitBake.

Real: the releases' trees, wr-template's processing, the allow-list of recipes. Almost all recipes are
masked, so that a parse takes seconds; scripts/check-image resolves whole images.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.paths import TOP

BOARDS = {"LTS24": "kas/jetson-orin-nano.yml", "LTS22": "kas/jetson-nano.yml"}
# Recipes of the node that the allow-list of the one release or the other does not name.
NOT_LISTED = {
    "ipset", "k3s", "python3-asyncinotify", "python3-grpcio", "python3-kconfiglib", "python3-protobuf",
    "python3-sdnotify",
}  # fmt: skip
PROJECT = "tests/template/template.yml"
IMAGE = "wrlinux/wrlinux-distro/recipes-base/images/wrlinux-image-small.bb"


@dataclass
class Project:
    """What BitBake makes of a project: the image's variables, the recipes that it lets through, the README."""

    image: dict[str, str]
    recipes: set[str]
    readme: str


def inspect(build: kas.KasBuild) -> Project:
    """Ask BitBake. The image is parsed alone, its dependencies are masked."""
    name, _, path = IMAGE.partition("/")
    tree = kas.LAYERS / (build.config["repos"][name].get("path") or name)
    # As kas names the layer: by any other name, BitBake does not know which layer a recipe is of.
    file = f"{build.directory}/{os.path.relpath(tree, build.directory)}/{path}"
    with build.popen(f"bitbake -s && bitbake -e -b {file}") as process:
        said = process.communicate()[0]
    assert process.returncode == 0, said
    recipes, _, variables = said.partition("INCLUDE HISTORY")
    return Project(
        dict(re.findall(r'^([A-Z][\w:-]*)="(.*)"$', variables, re.MULTILINE)),
        set(re.findall(r"^([a-z0-9][\w.+-]*) +:", recipes, re.MULTILINE)),
        (build.directory / "README_templates").read_text(),
    )


@pytest.fixture(scope="module", params=sorted(BOARDS))
def build(request: pytest.FixtureRequest) -> Callable[..., kas.KasBuild]:
    """Makes a project of a release; keywords are variables of its local.conf."""
    files = [BOARDS[request.param], kas.OFFLINE, PROJECT]
    if missing := kas.missing_trees(kas.read(files)):
        pytest.skip(f"layer trees {', '.join(missing)}: lay them out in {kas.LAYERS}")

    def make(**variables: str) -> kas.KasBuild:
        lines = "".join(f'{name} = "{value}"\n' for name, value in variables.items())
        return kas.KasBuild(cache.root() / "template" / request.param, files, {"variables": lines})

    return make


@pytest.fixture(scope="module")
def project(build: Callable[..., kas.KasBuild]) -> Project:
    """With the template."""
    return inspect(build())


def test_image_has_the_packagegroup(project: Project) -> None:
    assert "packagegroup-wr-nvidia-k8s" in project.image["IMAGE_INSTALL"].split()


def test_distro_features(project: Project) -> None:
    """The same as kas/include/nvidia-k8s.yml switches on."""
    text = (TOP / "kas/include/nvidia-k8s.yml").read_text()
    wanted = {word for words in re.findall(r'DISTRO_FEATURES:append = "(.*)"', text) for word in words.split()}
    assert wanted >= {"ldconfig", "nvidia-k8s"}
    assert wanted - set(project.image["DISTRO_FEATURES"].split()) == set()


def test_logs(project: Project) -> None:
    """The same as kas/include/nvidia-k8s.yml sets, which test_logs.py shows the effect of."""
    text = (TOP / "kas/include/nvidia-k8s.yml").read_text()
    wanted = dict(re.findall(r'(?m)^ +(VOLATILE_\w+|VIRTUAL-RUNTIME_[\w-]+) = "(.*)"$', text))
    assert len(wanted) == 3
    assert {name: project.image.get(name) for name in wanted} == wanted


def test_allow_list_lets_the_node_through(project: Project) -> None:
    """It acts, on meta-virtualization too, but neither on these nor on our recipes nor on the board's own layer."""
    layers = set(project.image["RECIPE_LIST_LAYERS"].split())
    assert layers >= {"meta-python", "networking-layer", "openembedded-layer", "virtualization-layer"}
    assert {"tegra", "wr-nvidia-k8s"} & layers == set()
    assert NOT_LISTED - project.recipes == set()
    assert {"k3s-config", "nvidia-device-plugin", "packagegroup-wr-nvidia-k8s"} - project.recipes == set()


def test_preferences_of_the_release(build: Callable[..., kas.KasBuild], project: Project) -> None:
    """The same as kas/include/wrlinux-lts22.yml has; LTS24 needs none."""
    headers = "".join(build().config["local_conf_header"].values())
    wanted = dict(re.findall(r'^(PREFERRED_\w+) = "(.*)"$', headers, re.MULTILINE))
    assert project.image.get("PREFERRED_RPROVIDER_docker", "") == wanted.get("PREFERRED_RPROVIDER_docker", "")


def test_readme_is_among_the_projects(project: Project) -> None:
    assert "--templates feature/nvidia-k8s" in project.readme
    assert "#@NAME: nvidia-k8s" in project.readme


def test_without_the_template(build: Callable[..., kas.KasBuild]) -> None:
    """So it is the template that does it."""
    without = inspect(build(WRTEMPLATE=""))
    assert "packagegroup-wr-nvidia-k8s" not in without.image["IMAGE_INSTALL"].split()
    assert {"ldconfig", "nvidia-k8s"} & set(without.image["DISTRO_FEATURES"].split()) == set()
    assert {"ipset", "k3s", "python3-sdnotify"} & without.recipes == set()


def test_another_init_manager_is_refused(build: Callable[..., kas.KasBuild]) -> None:
    with build(INIT_MANAGER="sysvinit").bitbake("-p") as process:
        said = " ".join(process.communicate()[0].replace("ERROR: ", "").split())
    assert process.returncode != 0
    assert "feature/nvidia-k8s: expected INIT_MANAGER to be systemd, found 'sysvinit': set INIT_MANAGER" in said
