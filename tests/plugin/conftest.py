# SPDX-License-Identifier: MIT
"""Fixtures of the plugin's tests."""

import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin

LIBRARY = Path(__file__).with_name("nvml_standin.c")


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder with a short name: pytest's tmp_path can be too long for a socket's path."""
    path = Path(tempfile.mkdtemp(prefix="ndp-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def kubelet(scratch: Path) -> AsyncIterator[KubeletStandin]:
    """A kubelet's device manager, running."""
    standin = KubeletStandin(scratch / "kubelet")
    await standin.start()
    yield standin
    await standin.stop()


@pytest.fixture
def card(scratch: Path) -> Path:
    """A machine with three cards, two of them on NUMA node 1."""
    root = scratch / "card"
    library = root / "usr/lib64/libnvidia-ml.so.1"
    library.parent.mkdir(parents=True)
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-Wl,-soname,libnvidia-ml.so.1",
                    "-o", library, LIBRARY], check=True)
    for index, node in enumerate((0, 1, 1)):
        bus = root / f"sys/bus/pci/devices/0000:0{index + 1}:00.0"
        bus.mkdir(parents=True)
        (bus / "numa_node").write_text(f"{node}\n")
    (root / "dev").mkdir()
    for name in ("nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1", "nvidia2"):
        (root / "dev" / name).touch()
    return root
