# SPDX-License-Identifier: MIT
"""BitBake gives each board's kernel our configuration, and leaves it as it is where that is not asked for."""

import json
from pathlib import Path
from typing import Any

import pytest

from kernel.kernel_config import BEFORE, COMMON, FEATURES, SINCE
from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.build.kas import KasBuild
from wr_nvidia_k8s.common import cache

QUESTION = Path(__file__).parent / "kernel_recipe.py"
# All other recipes are as if they were not there: a parse takes seconds.
SETTINGS = f"""
BBMASK += "^(?!.*/recipes-kernel/linux/)"
BBPATH .= ":{QUESTION.parent}"
INHERIT += "kernel-hashes"
"""
KMETA = FEATURES.parents[1].name
CONTAINERS = "features/nvidia-k8s/containers.scc"
GPU = "features/nvidia-k8s/nvidia-gpu.scc"
# The kernel's recipe of each stack of layers, by a board of it, and what of ours is in it.
FRAGMENTS = {
    "jetson-orin-nano": ("linux-jammy-nvidia-tegra_5.15.bb", [COMMON, SINCE]),
    "jetson-xavier-nx": ("linux-tegra_5.10.bb", [COMMON, SINCE]),
    "jetson-nano": ("linux-tegra_4.9.bb", [COMMON, BEFORE]),
}
KERNEL_FEATURES = {
    "x86-64": ("linux-yocto_6.6.bb", [CONTAINERS, GPU]),
    "qemu-arm64": ("linux-yocto_6.6.bb", [CONTAINERS]),
    "qemu-x86-64": ("linux-yocto_6.6.bb", [CONTAINERS]),
}


@pytest.fixture(scope="module", params=[*FRAGMENTS, *KERNEL_FEATURES])
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def kernel(board: str) -> dict[str, Any]:
    """What kernel_recipe.py says of the board's kernel."""
    files = [f"kas/{board}.yml", kas.OFFLINE]
    if missing := kas.missing_trees(kas.read(files)):
        pytest.skip(f"layer trees {', '.join(missing)}: lay them out in {kas.LAYERS}")
    build = KasBuild(cache.root() / "kernel-recipe" / board, files, {"kernel": SETTINGS})
    libraries = kas.LAYERS / (build.config["repos"]["bitbake"].get("path") or "bitbake") / "lib"
    with build.popen(f"PYTHONPATH={libraries} python3 {QUESTION}") as process:
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 0, output
    answer: dict[str, Any] = json.loads(output.rsplit("kernel as JSON: ", 1)[1])
    return answer


def ours(state: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What of ours is in SRC_URI and in KERNEL_FEATURES."""
    uris = [uri for uri in state["SRC_URI"].split() if KMETA in uri]
    return uris, [feature for feature in (state["KERNEL_FEATURES"] or "").split() if "nvidia-k8s" in feature]


def test_kernel_of_the_image_has_our_configuration(board: str, kernel: dict[str, Any]) -> None:
    state = kernel["on"]
    uris, features = ours(state)
    if board in FRAGMENTS:
        recipe, fragments = FRAGMENTS[board]
        assert uris == [f"file://{fragment.relative_to(FEATURES.parents[2])}" for fragment in fragments]
        assert features == [], "which would end do_kernel_metadata: L4T's kernels know of none"
    else:
        recipe, expected = KERNEL_FEATURES[board]
        assert uris == [f"file://{KMETA};type=kmeta;name={KMETA};destsuffix={KMETA}"]
        assert state["KERNEL_FEATURES"].split()[-len(expected) :] == features == expected, "ours last, as they must be"
    assert Path(state["recipe"]).name == recipe
    found = {name: path for name, path in state["files"].items() if name.startswith(KMETA)}
    assert len(found) == len(uris)
    assert all(path and Path(path).samefile(FEATURES.parents[2] / name) for name, path in found.items())


def test_kernel_is_as_if_the_layer_were_not_there(kernel: dict[str, Any]) -> None:
    """Without the distribution feature, down to the hash of each task: nothing is built anew for us."""
    off, without = kernel["off"], kernel["without"]
    assert ours(off) == ([], [])
    assert len(off["hashes"]) > 10
    assert off["hashes"] == without["hashes"]
    assert kernel["on"]["hashes"]["do_fetch"] != off["hashes"]["do_fetch"]
