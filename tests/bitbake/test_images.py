# SPDX-License-Identifier: MIT
"""Every image parses on its real layers without a complaint about us, and all of its tasks resolve."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boards import ALL_IMAGES, STANDS_FOR
from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.build.check_image import PARSE_OURS_AGAIN
from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.paths import TOP

# What a node is made of, as recipes; each board adds what makes containers see its GPU.
NODE = {
    "docker-ce", "docker-daemon-config", "git", "k3s", "k3s-config", "nvidia-container-toolkit",
    "nvidia-container-toolkit-config", "nvidia-device-plugin", "openssh", "packagegroup-wr-nvidia-k8s", "systemd",
}  # fmt: skip
LTS24 = NODE | {"docker-moby"}
JETPACK6 = LTS24 | {"linux-jammy-nvidia-tegra"}
JETPACK5 = LTS24 | {"linux-tegra"}
SIMULATED = LTS24 | {"linux-yocto", "simulated-jetson"}
BOARDS = {
    "jetson-agx-orin": JETPACK6,
    "jetson-agx-orin-64gb": JETPACK6,
    "jetson-agx-xavier": JETPACK5,
    "jetson-nano": NODE | {"docker", "linux-tegra", "nvidia-container-runtime"},
    "jetson-orin-nano": JETPACK6,
    "jetson-orin-nano-nvme": JETPACK6,
    "jetson-orin-nx": JETPACK6,
    "jetson-orin-nx-8gb": JETPACK6,
    "jetson-xavier-nx": JETPACK5,
    "qemu-arm64": SIMULATED,
    "qemu-x86-64": SIMULATED,
    "x86-64": LTS24 | {"linux-yocto", "nvidia-driver-compute", "nvidia-open-kernel-modules"},
}


# What a machine asks for: oe-core's packagegroup-core-boot has the essential part, packagegroup-machine-base the rest.
ASKED = [f"MACHINE_{which}_{how}" for which in ("ESSENTIAL_EXTRA", "EXTRA") for how in ("RDEPENDS", "RRECOMMENDS")]
# Of that, what a board is of no use without: its network (a PC: the firmware of its network cards), its fans, its
# power modes, NVML's kernel module.
VITAL = {
    "jetson-nano": {"tegra-nvpmodel", "tegra-nvstartup"},
    "jetson-orin-nano": {"kernel-module-r8168", "nvidia-kernel-oot-display", "tegra-nvfancontrol", "tegra-nvpmodel"},
    "jetson-xavier-nx": {"tegra-nvfancontrol", "tegra-nvpmodel"},
    "x86-64": {"linux-firmware-bnx2-mips", "linux-firmware-ice"},
}


def check_image(board: str) -> dict[str, Any]:
    """What scripts/check-image says of a board."""
    if board in STANDS_FOR and not ALL_IMAGES:
        pytest.skip(f"{board}: {STANDS_FOR[board]} stands for it; scripts/check-image {board} checks it")
    missing = kas.missing_trees(kas.read([f"kas/{board}.yml"]))
    if missing:
        pytest.skip(
            f"layer trees {', '.join(missing)} in {kas.LAYERS}: "
            f"KAS_WORK_DIR={kas.LAYERS} kas checkout kas/{board}.yml"
        )
    command = [str(TOP / "scripts" / "check-image"), "--json", board]
    command += [] if ALL_IMAGES else ["--graph"]
    command += ["--include=accept-nvidia-license"] if board == "x86-64" else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Debian packages are missing" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.stdout, done.stderr[-4000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def image_packages(board: str) -> dict[str, Any]:
    """What image_packages.py says of a board whose check has just been made: in its build directory."""
    image = f"{board}_accept-nvidia-license" if board == "x86-64" else board
    files = [f"kas/{board}.yml", kas.OFFLINE]
    files[1:1] = ["kas/include/accept-nvidia-license.yml"] if board == "x86-64" else []
    build = kas.KasBuild(cache.root() / "check-image" / image, files, {"check-image": PARSE_OURS_AGAIN})
    script = Path(__file__).resolve().with_name("image_packages.py")
    libraries = '$(dirname "$(command -v bitbake)")/../lib'
    variables = [*ASKED, "IMAGE_FSTYPES", "IMAGE_PREPROCESS_COMMAND", "IMAGE_ROOTFS_EXTRA_SPACE"]
    command = f"PYTHONPATH={libraries} python3 {script} {' '.join([*build.targets, *variables])}"
    with build.popen(command) as process:
        assert process.stdout is not None
        output = process.stdout.read()
    assert "image's packages as JSON: " in output, output[-4000:]
    result: dict[str, Any] = json.loads(output.rsplit("image's packages as JSON: ", 1)[1])
    return result


def test_every_board_is_checked() -> None:
    assert sorted(BOARDS) == kas.images()


@pytest.mark.parametrize("board", sorted(STANDS_FOR))
def test_board_that_is_stood_for_differs_by_its_machine_alone(board: str) -> None:
    mine, other = (kas.read([f"kas/{name}.yml"]) for name in (board, STANDS_FOR[board]))
    assert mine.pop("machine") != other.pop("machine")
    assert mine == other


@pytest.mark.parametrize("board", sorted(BOARDS))
def test_image_can_be_built(board: str, record_property: Callable[[str, object], None]) -> None:
    checked = check_image(board)
    record_property(board, {key: checked[key] for key in ("recipes", "variants", "tasks", "seconds")})
    assert checked["problems"] == []
    assert checked["ok"]
    recipes = {re.sub(r"(_[^_]*)?\.bb$", "", file) for file in checked["built"]}
    assert sorted(BOARDS[board] - recipes) == []
    engines = {"docker", "docker-moby"}
    assert recipes & engines == BOARDS[board] & engines, "expected one Docker engine"
    assert "nvidia-docker" not in recipes, "it installs a daemon.json of its own"
    if "docker-moby" in BOARDS[board]:
        escapes = [file for file in checked["built"] if file.startswith("libnvidia-container")]
        assert escapes == [], "expected only our toolkit, which needs no library that has escapes too"
    has_what_its_machine_asks_for(board)


def has_what_its_machine_asks_for(board: str) -> None:
    """An image of one's own gets it as well: by our package group, or by what every image has."""
    found = image_packages(board)
    steps = found["variables"]["IMAGE_PREPROCESS_COMMAND"].replace(";", " ").split()
    assert steps.index("clock_epoch_install") > steps.index("reproducible_final_image_task")
    assert "live" not in found["variables"]["IMAGE_FSTYPES"].split(), "it fails with a root file system of 4 GB"
    assert eval(found["variables"]["IMAGE_ROOTFS_EXTRA_SPACE"]) >= 1 << 20, "KiB"
    refused = set(found["refused"])
    for name in ASKED:
        source = "packagegroup-core-boot" if "ESSENTIAL" in name else "packagegroup-wr-nvidia-k8s"
        wanted = set((found["variables"][name] or "").split()) - refused
        assert sorted(wanted - set(found["packages"][source])) == [], f"{board}: {name}"
    assert sorted(VITAL.get(board, set()) - set(found["packages"]["wr-nvidia-k8s-image"])) == []
    assert {"boot-settings", "grow-root", "k3s-time-sync"} <= set(found["packages"]["packagegroup-wr-nvidia-k8s"])
