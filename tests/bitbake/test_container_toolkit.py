# SPDX-License-Identifier: MIT
"""Which NVIDIA container toolkit an image is built with."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from boards import STANDS_FOR
from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.build.kas import KasBuild
from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.paths import TOP

# CVE-2025-23266, a container's way to become root on its host, is fixed in this one; CVE-2024-0132 and
# CVE-2025-23359 are in earlier ones.
SAFE = (1, 17, 8)
TOOLKIT = "nvidia-container-toolkit"
OWN = TOP / "recipes-containers" / TOOLKIT
# Of all recipes of the layers, those that could be chosen: a parse of seconds.
FEW = r"""
BBMASK += "/(?!(lib)?nvidia-container|docker)[^/]*\.bb(append)?$"
BB_DANGLINGAPPENDS_WARNONLY = "1"
"""


def boards(release: str) -> list[str]:
    """The boards on a release of Wind River Linux (LTS24), without those that others stand for."""
    urls = {board: kas.read([f"kas/{board}.yml"])["repos"]["wrlinux"]["url"] for board in kas.images()}
    wanted = f"WindRiverLinux{release.removeprefix('LTS')}/"
    return [board for board, url in urls.items() if wanted in url and board not in STANDS_FOR]


@functools.cache
def chosen(board: str, settings: str = "") -> dict[str, Any]:
    """What BitBake chooses for a board, by recipe name: chosen_recipes.py says how it is described."""
    files = [f"kas/{board}.yml", kas.OFFLINE]
    if missing := kas.missing_trees(kas.read(files)):
        pytest.skip(f"layer trees {', '.join(missing)} in {kas.LAYERS}: lay them out, see CONTRIBUTING.md")
    build = KasBuild(cache.root() / "toolkit" / "chosen" / board, files, {"few": FEW, "settings": settings})
    script = Path(__file__).resolve().with_name("chosen_recipes.py")
    names = [TOOLKIT, f"{TOOLKIT}-config", "nvidia-container-runtime", "docker-ce"]
    libraries = '$(dirname "$(command -v bitbake)")/../lib'
    with build.popen(f"PYTHONPATH={libraries} python3 {script} {' '.join(names)}") as process:
        assert process.stdout is not None
        output = process.stdout.read()
    assert "chosen recipes as JSON: " in output, output[-4000:]
    found: dict[str, Any] = json.loads(output.rsplit("chosen recipes as JSON: ", 1)[1])
    return found


@pytest.mark.parametrize("board", boards("LTS24"))
def test_no_version_with_a_known_escape_is_built(board: str) -> None:
    toolkit = chosen(board)[TOOLKIT]
    assert toolkit["skipped"] is None
    assert tuple(map(int, toolkit["PV"].split("."))) >= SAFE, f"{board}: {toolkit['file']}"


@pytest.mark.parametrize("board", boards("LTS24"))
def test_the_chosen_one_is_ours_and_needs_no_library_that_has_escapes_too(board: str) -> None:
    recipes = chosen(board)
    for name in (TOOLKIT, f"{TOOLKIT}-config"):
        assert Path(recipes[name]["file"]).parent.resolve() == OWN
        assert not [needed for needed in recipes[name]["RDEPENDS"] if needed.startswith("libnvidia-container")]


@pytest.mark.parametrize("board", boards("LTS22"))
def test_on_lts22_ours_steps_aside_for_the_boards_own(board: str) -> None:
    """A skipped recipe of a layer of higher priority hides none of a lower one."""
    recipes = chosen(board)
    assert recipes[TOOLKIT]["skipped"] is None
    assert "/meta-tegra-jetpack4/" in recipes[TOOLKIT]["file"]
    assert recipes["nvidia-container-runtime"]["PV"] == "3.1.0"
    assert "nvidia-container-runtime" in recipes[f"{TOOLKIT}-config"]["RDEPENDS"]


@pytest.mark.parametrize("board", [*boards("LTS24"), *boards("LTS22")])
def test_who_does_not_ask_for_this_layers_node_gets_none_of_its_recipes(board: str) -> None:
    """Other images of the same build keep meta-tegra's toolkit and meta-virtualization's docker-ce."""
    recipes = chosen(board, 'DISTRO_FEATURES:remove = "nvidia-k8s"')
    assert "nvidia-k8s" in recipes[f"{TOOLKIT}-config"]["skipped"]
    for name, neighbour in (TOOLKIT, "meta-tegra"), ("docker-ce", "meta-virtualization"):
        chosen_file = recipes[name].get("file")
        assert chosen_file is None or f"/{neighbour}" in chosen_file
    machine = kas.read([f"kas/{board}.yml"])["machine"]
    assert (recipes[TOOLKIT]["skipped"] is None) == machine.startswith("jetson-")


@pytest.mark.parametrize("board", boards("LTS22"))
def test_on_lts22_what_cannot_be_secure_is_refused(board: str) -> None:
    reason = chosen(board, 'WR_NVIDIA_K8S_SECURE = "1"')[f"{TOOLKIT}-config"]["skipped"]
    assert reason and "WR_NVIDIA_K8S_SECURE: expected 0, found 1" in reason
