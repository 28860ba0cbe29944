# SPDX-License-Identifier: MIT
"""Images are checked once a session, for every test that wants to know."""

import functools
import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from boards import ALL_IMAGES, STANDS_FOR
from wr_nvidia_k8s import kas_build


@pytest.fixture(scope="session")
def check_image(pytestconfig: pytest.Config) -> Callable[[str], dict[str, Any]]:
    """What scripts/check-image says of a board; its figures go to the terminal."""

    @functools.cache
    def check(board: str) -> dict[str, Any]:
        if board in STANDS_FOR and not ALL_IMAGES:
            pytest.skip(f"{board}: {STANDS_FOR[board]} stands for it; scripts/check-image {board} checks it")
        missing = kas_build.missing_trees(kas_build.read([f"kas/{board}.yml"]))
        if missing:
            pytest.skip(
                f"layer trees {', '.join(missing)} in {kas_build.LAYERS}: "
                f"KAS_WORK_DIR={kas_build.LAYERS} kas checkout kas/{board}.yml"
            )
        command = [str(kas_build.TOP / "scripts" / "check-image"), "--json", board]
        command += [] if ALL_IMAGES else ["--graph"]
        command += ["--include=accept-nvidia-license"] if board == "x86-64" else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == os.EX_UNAVAILABLE:
            pytest.skip(done.stderr.strip().splitlines()[-1])
        assert done.stdout, done.stderr[-4000:]
        result: dict[str, Any] = json.loads(done.stdout)
        figures = {key: result[key] for key in ("recipes", "variants", "tasks", "seconds")}
        reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"\n{board}: {json.dumps(figures)}")
        return result

    return check
