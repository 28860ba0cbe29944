# SPDX-License-Identifier: MIT
"""scripts/test-board where it cannot begin."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.commands import test_board
from wr_nvidia_k8s.common.paths import TOP


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = TOP / "scripts" / "test-board"
    return subprocess.run([str(script), *arguments], capture_output=True, text=True, check=False)


def test_without_the_trees(tmp_path: Path) -> None:
    done = command("192.0.2.1", "--layers", str(tmp_path))
    assert done.returncode == os.EX_UNAVAILABLE
    assert f"expected oe-core/scripts/oe-test and bitbake/lib/bb in {tmp_path}" in done.stderr
    assert f"KAS_WORK_DIR={tmp_path} kas checkout" in done.stderr


def test_without_the_board() -> None:
    if not shutil.which("ssh"):
        pytest.skip("ssh: apt-get install openssh-client")
    if trees := test_board.missing_trees(kas.LAYERS):
        pytest.skip(f"layer trees {', '.join(trees)}: lay them out in {kas.LAYERS}")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        done = command(address)
    assert done.returncode == os.EX_UNAVAILABLE
    assert f"expected root@{address} to be let in over SSH" in done.stderr
    assert "Connection refused" in done.stderr
