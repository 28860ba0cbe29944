# SPDX-License-Identifier: MIT
"""The frozen program under the unit as it is, by a real systemd: what the sandbox forbids would show here."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k3s.systemd_room import PLAIN, Room
from plugin.conftest import nvml
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.lab.plugin import SOURCE

FILES = TOP / "recipes-containers/nvidia-device-plugin/files"
UNIT = FILES / "nvidia-device-plugin.service"
GPU = "nvidia.com/gpu"


class Board(Room):
    """A machine with the package installed, and a kubelet that writes down what it knows."""

    def __init__(self, folder: Path, program: Path) -> None:
        super().__init__(folder)
        self.program = program
        self.state_file = folder / "state.json"

    def start(self, card: Path, prepare: str = "true") -> None:
        """Boot with the driver's files in /run/card. prepare: shell commands before anything starts."""
        configuration = (FILES / "config.yaml").read_text().replace("DriverRoot: /", "DriverRoot: /run/card")
        (self.folder / "config.yaml").write_text(configuration)
        # The sandbox hides a test's folder, so what it starts is copied to where it can be seen.
        self.oneshot("package", "package", command=f"cp -a {self.program} /run/program; cp -a {card} /run/card; "
                     f"mkdir -p /etc/nvidia-device-plugin; cp {self.folder}/config.yaml /etc/nvidia-device-plugin/; "
                     f"{prepare}")
        self.write("kubelet.service", f"{PLAIN}After=package.service {UNIT.name}\n[Service]\n"
                   f"Environment=PYTHONPATH={SOURCE}:{TOP / 'scripts'}\nExecStart={sys.executable} -m "
                   f"wr_nvidia_k8s.lab.kubelet.standin /var/lib/kubelet/device-plugins --state {self.state_file}\n")
        self.write(UNIT.name, UNIT.read_text().replace("[Unit]\n", f"{PLAIN}After=package.service\n"))
        self.write(f"{UNIT.name}.d/place.conf", "[Service]\nExecStart=\nExecStart=/run/program/nvidia-device-plugin "
                   f"--config-file=/etc/nvidia-device-plugin/config.yaml\nStandardError=append:{self.folder}/journal\n")
        self.boot("package.service", UNIT.name, "kubelet.service")
        self.until("package")

    def journal(self) -> str:
        file = self.folder / "journal"
        return file.read_text() if file.exists() else ""

    def wait(self, what: str) -> Any:
        """Return once the kubelet's state or the journal has it."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            state = self.state_file.read_text() if self.state_file.exists() else "{}"
            if what in state or what in self.journal():
                return json.loads(state)
            time.sleep(0.05)
        pytest.fail(f"expected {what}, found {state} and {self.journal()}")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frozen")
    result = subprocess.run([TOP / "scripts/freeze", "--arch", "amd64", "--output", folder])
    if result.returncode == os.EX_UNAVAILABLE:
        pytest.skip("Debian packages for freezing: scripts/freeze names them")
    assert result.returncode == 0
    return folder / "nvidia-device-plugin"


@pytest.fixture
def board(tmp_path: Path, program: Path) -> Iterator[Board]:
    board = Board(tmp_path, program)
    yield board
    board.end()


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A driver with three cards."""
    root = tmp_path / "card"
    nvml(root, "-DCONFINED")
    (root / "dev").mkdir()
    return root


def test_the_process_that_asks_the_driver_starts_and_answers(board: Board, card: Path) -> None:
    board.start(card)
    assert board.wait(f'"{GPU}": 3')["registrations"] == 1
    journal = board.journal()
    assert "NVML devices detected: NVIDIA driver 580.95.05, 3 GPU(s)" in journal
    # It is the sandbox in which it did so.
    for what, error in (("writable code", "Operation not permitted"), ("network", "Address family not supported"),
                        ("root directory", "Operation not permitted"), ("file", "Read-only file system")):
        assert f"{what}: {error}" in journal


def test_the_drivers_nodes_may_be_opened_and_no_others(board: Board, card: Path) -> None:
    """A driver that is not there has no such device, which comes after the question whether one may use it."""
    nodes = "mknod -m 666 /run/card/dev/nvidiactl c 195 255 && mknod -m 666 /run/card/dev/other c 194 0"
    board.start(card, f"{nodes} || echo no-nodes >>{board.folder}/journal")
    board.wait(f'"{GPU}": 3')
    if "no-nodes" in board.journal():
        pytest.skip("device nodes: run this outside of a container, or in one that may make them")
    assert "driver's node: No such device or address" in board.journal()
    assert "another's node: Operation not permitted" in board.journal()


LEADS = {  # what the kubelet's folder is, and whether the GPU is offered there
    "a link": ("mkdir -p /run/elsewhere /var/lib/kubelet; ln -s /run/elsewhere /var/lib/kubelet/device-plugins", True),
    "below a link": ("mkdir -p /run/elsewhere; ln -s /run/elsewhere /var/lib/kubelet", True),
    "nothing yet": ("true", True),
    "a link into nothing": ("mkdir -p /var/lib/kubelet; ln -s /run/nothing /var/lib/kubelet/device-plugins", False),
}


@pytest.mark.parametrize("what", LEADS)
def test_the_kubelets_folder_may_be(board: Board, card: Path, what: str) -> None:
    make, is_served = LEADS[what]
    board.start(card, f"rm -rf /var/lib/kubelet; {make}")
    if is_served:
        board.wait(f'"{GPU}": 3')
    else:
        board.wait("/run/nothing (/var/lib/kubelet/device-plugins is a link to it)")
