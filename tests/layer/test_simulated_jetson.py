# SPDX-License-Identifier: MIT
"""The simulated Jetson of the emulated images is one to the plugin, and has what its own lists name."""

import ctypes
import re
import subprocess
from pathlib import Path

import pytest

from nvidia_device_plugin.platforms import tegra
from wr_nvidia_k8s.common.paths import TOP

FILES = TOP / "meta-wr-nvidia-k8s/recipes-core/simulated-jetson/simulated-jetson"
NODES = re.findall(r"^c (\S+) 0666 root root - 1:3$", (FILES / "tmpfiles.conf").read_text(), re.MULTILINE)


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A root file system with the files where the recipe puts them, and with the nodes that systemd-tmpfiles makes."""
    (tmp_path / "etc").mkdir()
    (tmp_path / tegra.RELEASE).write_text((FILES / "nv_tegra_release").read_text())
    lists = tmp_path / tegra.CSV_FOLDER
    lists.mkdir(parents=True)
    (lists / "devices.csv").write_text((FILES / "devices.csv").read_text())
    for node in NODES:
        path = tmp_path / node.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_plugin_finds_the_gpu_and_all_its_nodes(board: Path) -> None:
    found = tegra.discover(board, board)
    assert [device.id for device in found.devices] == [tegra.DEVICE_ID]
    assert found.description.endswith("L4T R36.5.0")
    assert found.devices[0].paths == tuple(sorted(NODES)) != ()


def test_nodes_are_made_by_systemd(tmp_path: Path) -> None:
    """systemd-tmpfiles takes every line; making nodes needs rights that this test does not ask for."""
    config = FILES / "tmpfiles.conf"
    done = subprocess.run(
        ["systemd-tmpfiles", "--create", "--dry-run", f"--root={tmp_path}", str(config)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unrecognized option" in done.stderr:  # before systemd 256
        done = subprocess.run(
            ["systemd-tmpfiles", "--create", "--prefix=/none", f"--root={tmp_path}", str(config)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_libcuda_is_a_driver_without_a_gpu(tmp_path: Path) -> None:
    library = tmp_path / "libcuda.so.1.1"
    strict = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["gcc", *strict, "-o", str(library), str(FILES / "libcuda.c")], check=True)
    cuda = ctypes.CDLL(str(library))
    value = ctypes.c_int(-1)
    assert cuda.cuInit(0) == 100  # CUDA_ERROR_NO_DEVICE
    assert (cuda.cuDeviceGetCount(ctypes.byref(value)), value.value) == (0, 0)
    assert (cuda.cuDriverGetVersion(ctypes.byref(value)), value.value) == (0, 12060)


def test_lists_have_names_that_the_runtime_reads() -> None:
    """NVIDIA's container toolkit, internal/platform-support/tegra/csv: BaseFilesOnly."""
    lists = {file.name.removesuffix(".in") for file in FILES.iterdir() if ".csv" in file.name}
    assert lists <= {"devices.csv", "drivers.csv", "l4t.csv"}
