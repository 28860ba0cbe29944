# SPDX-License-Identifier: MIT
"""bitbake -c testimage runs the same cases on a board, as kas/include/test-board.yml sets it up.

Real: BitBake, OE-core's testimage.bbclass and the discovery of a layer's cases; the image is one that was built
elsewhere, the board is board.py's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from oeqa.board import Board, system
from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.paths import TOP

FRAGMENT = "kas/include/test-board.yml"
# What OE-core asks of a host that tests images (HOSTTOOLS in bitbake.conf), and Debian's packages of it.
NEEDED = {"ip": "iproute2", "ping": "iputils-ping", "scp": "openssh-client", "ssh": "openssh-client"}
FILES = ["kas/jetson-orin-nano.yml", kas.OFFLINE, FRAGMENT, "tests/oeqa/testimage.yml"]


@pytest.fixture
def build(tmp_path: Path) -> kas.KasBuild:
    """A build directory with what the image's build leaves there for testimage."""
    if os.geteuid() != 0:
        pytest.skip("root: the stand-in board has a root file system and a root of its own")
    if packages := sorted({package for name, package in NEEDED.items() if not shutil.which(name)}):
        pytest.skip(f"{', '.join(packages)}: apt-get install {' '.join(packages)}")
    if not (TOP / FRAGMENT).exists():
        pytest.skip(f"{FRAGMENT}: is not there")
    if missing := kas.missing_trees(kas.read(FILES)):
        pytest.skip(f"layer trees {', '.join(missing)}: lay them out in {kas.LAYERS}")
    system()
    return kas.KasBuild(cache.root() / "testimage", FILES)


def test_cases_run_against_a_board(build: kas.KasBuild, tmp_path: Path) -> None:
    with build.popen("bitbake -e built-image") as process:
        said = process.communicate()[0]
    values = dict(re.findall(r'^([A-Z_]+)="(.*)"$', said, re.MULTILINE))
    assert "DEPLOY_DIR_IMAGE" in values, said
    deployed = Path(values["DEPLOY_DIR_IMAGE"])
    deployed.mkdir(parents=True, exist_ok=True)
    image = deployed / values["IMAGE_LINK_NAME"]
    data = {name: values.get(name, "") for name in ("MACHINE", "MLPREFIX", "WR_NVIDIA_K8S_ROLE")}
    # A board of the room's own has no GPU, and no network: what test-board would ask the board.
    Path(f"{image}.testdata.json").write_text(json.dumps({**data, "WR_NVIDIA_K8S_GPU": "simulated"}))
    Path(f"{image}.manifest").write_text("nvidia-device-plugin noarch 0.1.0\n")
    for path in deployed.parents:
        if path.is_relative_to(build.directory):
            build.user.own(path)
    with Board(tmp_path) as board:
        run = f"TEST_TARGET_IP={board.address} bitbake -c testimage built-image"
        with build.popen(run) as process:
            said = process.communicate()[0]
    assert process.returncode == 0, said
    results = dict(re.findall(r"RESULTS - nvidia_k8s\.(\S+): (\w+)", said))
    assert results["NvidiaK8sPods.test_pods_take_turns"] == "PASSED", said
    assert sorted(set(results.values())) == ["PASSED", "SKIPPED"]
    assert board.cluster.deleted
