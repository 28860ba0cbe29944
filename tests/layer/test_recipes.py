# SPDX-License-Identifier: MIT
"""Every recipe, class and configuration file of the layer follows OpenEmbedded's style, on each release."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SUFFIXES = {".bb", ".bbappend", ".bbclass", ".inc", ".conf"}
FOLDERS = [TOP / "meta-wr-nvidia-k8s", TOP / "recipes-containers"]


def metadata() -> list[Path]:
    """The files that BitBake reads (a .conf beside a recipe is a program's, not BitBake's)."""
    files = [file for folder in FOLDERS for file in folder.rglob("*") if file.suffix in SUFFIXES]
    return sorted(file for file in files if file.suffix != ".conf" or file.parent.name == "conf")


@pytest.mark.parametrize("release", ["kirkstone", "scarthgap", "walnascar", "wrynose"])
def test_oelint(release: str) -> None:
    oelint = Path(sys.executable).parent / "oelint-adv"
    files = [str(file.relative_to(TOP)) for file in metadata()]
    assert "meta-wr-nvidia-k8s/conf/layer.conf" in files
    assert "recipes-containers/docker/docker-ce_1.0.bb" in files
    done = subprocess.run(
        [oelint, "--release", release, "--relpaths", "--quiet", *files],
        cwd=TOP, env={**os.environ, "OELINT_CONFIG": "tests/layer/oelint.cfg"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout + done.stderr == "", "oelint-adv found"
    assert done.returncode == 0
