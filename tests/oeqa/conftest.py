# SPDX-License-Identifier: MIT
"""scripts/test-board on boards that are well and on boards that are not, each of them once a session."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oeqa.board import DEVICE_QUERY, Board, results, system
from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.commands import test_board
from wr_nvidia_k8s.common.paths import TOP

# Long enough for a busy machine where all is well; what never comes is waited for so long.
SECONDS = 30
LAYERS = {"LTS24": kas.LAYERS, "LTS22": kas.LAYERS / "lts22"}


@dataclass
class Run:
    """What came of one run of scripts/test-board."""

    board: Board
    exit_status: int
    output: str
    cases: dict[str, dict[str, Any]]

    def named(self, status: str) -> set[str]:
        """The cases that ended so: PASSED, FAILED, SKIPPED, ERROR."""
        return {name for name, case in self.cases.items() if case["status"] == status}

    def said(self, case: str) -> str:
        """A case's message."""
        return str(self.cases[case].get("log", ""))


def docker_is_down(board: Board) -> None:
    board.states["docker"] = "failed"
    board.journal = ["failed to start daemon: no such runtime nvidia"]


def services_are_not_well(board: Board) -> None:
    board.failed = ["nvidia-persistenced.service"]
    board.setup_result = "exit-code"
    board.checkpoint()


def node_is_not_ready(board: Board) -> None:
    board.cluster.ready = False


def gpu_is_not_advertised(board: Board) -> None:
    board.cluster.gpus = 0
    board.setup_unit = "not-found"


def gpu_is_not_injected(board: Board) -> None:
    board.cluster.gives_gpu = False


def gpu_is_not_kept(board: Board) -> None:
    board.cluster.gives_gpu_to_all = board.cluster.overcommits = board.dies_with_k3s = True
    board.device_query = "cudaGetDeviceCount returned 35\nResult = FAIL\n"


def plugin_is_gone_after_restart(board: Board) -> None:
    board.registers_again = False
    board.registry = []


def environment_gives_gpu(board: Board) -> None:
    board.obeys_environment = True


def is_an_agent(board: Board) -> None:
    board.is_reached_by_ipv6 = Path("/proc/sys/net/ipv6/conf/lo").exists()
    board.role = "k3s-agent"
    board.states["k3s-agent"] = board.states.pop("k3s")


def has_no_set_up(board: Board) -> None:
    board.setup_unit = "not-found"


def is_well(board: Board) -> None:
    pass


IMAGE = {"WR_NVIDIA_K8S_TEST_IMAGE": DEVICE_QUERY}
SCENARIOS: dict[str, tuple[Callable[[Board], None], str, dict[str, str]]] = {
    "well": (is_well, "LTS24", {"WR_NVIDIA_K8S_SECURE": "1", **IMAGE}),
    "well, LTS22's OE-core": (is_well, "LTS22", {}),
    "simulated": (has_no_set_up, "LTS24", {"WR_NVIDIA_K8S_GPU": "simulated"}),
    "agent": (is_an_agent, "LTS24", IMAGE),
    "docker is down": (docker_is_down, "LTS24", IMAGE),
    "services": (services_are_not_well, "LTS24", IMAGE),
    "node": (node_is_not_ready, "LTS24", IMAGE),
    "advertised": (gpu_is_not_advertised, "LTS24", IMAGE),
    "injected": (gpu_is_not_injected, "LTS24", IMAGE),
    "kept": (gpu_is_not_kept, "LTS24", IMAGE),
    "environment": (environment_gives_gpu, "LTS24", {"WR_NVIDIA_K8S_SECURE": "1"}),
    "restart": (plugin_is_gone_after_restart, "LTS24", IMAGE),
}
"""By name: what is wrong with the board, whose OE-core runs the cases, the settings."""


def _run(folder: Path, scenario: str) -> Run:
    break_it, release, settings = SCENARIOS[scenario]
    folder.mkdir()
    command = [str(TOP / "scripts/test-board"), "--results", str(folder / "results")]
    command += ["--layers", str(LAYERS[release])]
    wanted = {"WR_NVIDIA_K8S_GPU": "nvml", "WR_NVIDIA_K8S_TEST_TIMEOUT": str(SECONDS), **settings}
    for name, value in wanted.items():
        command += ["--set", f"{name}={value}"]
    with Board(folder) as board:
        break_it(board)
        done = subprocess.run([*command, board.address], capture_output=True, text=True, check=False)
        return Run(board, done.returncode, done.stdout + done.stderr, results(folder / "results"))


def on(scenario: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The scenario that a test is about."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        test.scenario = scenario  # type: ignore[attr-defined]
        return test

    return mark


@pytest.fixture(scope="session")
def _runs(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Future[Run]]:
    """All that this session's tests want, at once: a run mostly waits."""
    if os.geteuid() != 0:
        pytest.skip("root: the stand-in board has a root file system and a root of its own")
    if missing := [name for name in ("dpkg-deb", "ssh", "ssh-keygen", "unshare") if not shutil.which(name)]:
        pytest.skip(f"{', '.join(missing)}: apt-get install openssh-client util-linux")
    for layers in LAYERS.values():
        if trees := test_board.missing_trees(layers):
            pytest.skip(f"layer trees {', '.join(trees)}: lay them out in {layers}")
    system()
    folder = tmp_path_factory.mktemp("boards")
    pool = ThreadPoolExecutor(4)
    request.addfinalizer(lambda: pool.shutdown(cancel_futures=True))
    wanted = {getattr(getattr(item, "function", None), "scenario", "") for item in request.session.items}
    return {name: pool.submit(_run, folder / str(n), name) for n, name in enumerate(SCENARIOS) if name in wanted}


@pytest.fixture
def run(_runs: dict[str, Future[Run]], request: pytest.FixtureRequest) -> Run:
    """What came of the test's scenario."""
    return _runs[request.function.scenario].result()
