# SPDX-License-Identifier: MIT
"""The toolkit is built once."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit import build
from toolkit.machine import Machine
from wr_nvidia_k8s.lab.jetson import lay_out


@pytest.fixture(scope="session")
def programs() -> Path:
    room = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True, check=False)
    if room.returncode:
        pytest.skip("user namespaces: sysctl kernel.unprivileged_userns_clone=1, and not in every container")
    return build.programs()


@pytest.fixture
def jetson(programs: Path, tmp_path: Path) -> Callable[..., Machine]:
    """A simulated Jetson with the toolkit as our image has it."""

    def make(board: str = "jetson-orin-nano", *, secure: bool = False, programs: Path = programs) -> Machine:
        machine = Machine(lay_out(tmp_path / "machine", board))
        return machine.install(programs, "csv", secure=secure)

    return make
