# SPDX-License-Identifier: MIT
"""Fixtures of the plugin's tests."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin

LIBRARY = Path(__file__).with_name("nvml_standin.c")
# Looks at the GPUs again all the time.
LOOKING = [sys.executable, "-c", "import sys, nvidia_device_plugin.daemon.process as process; "
                                 "process.LOOK_SECONDS = 0.2; from nvidia_device_plugin.cli import main; "
                                 "sys.exit(main())"]


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


def nvml(root: Path, *defines: str) -> None:
    """Compile the stand-in of NVML into the tree."""
    library = root / "usr/lib64/libnvidia-ml.so.1"
    library.parent.mkdir(parents=True)
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-Wl,-soname,libnvidia-ml.so.1", *defines,
                    "-o", library, LIBRARY], check=True)


@pytest.fixture
def card(scratch: Path) -> Path:
    """A machine with three cards, two of them on NUMA node 1."""
    root = scratch / "card"
    nvml(root)
    for index, node in enumerate((0, 1, 1)):
        bus = root / f"sys/bus/pci/devices/0000:0{index + 1}:00.0"
        bus.mkdir(parents=True)
        for name, text in (("numa_node", f"{node}"), ("vendor", "0x10de"), ("class", "0x030200")):
            (bus / name).write_text(f"{text}\n")
    (root / "dev").mkdir()
    for name in ("nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1", "nvidia2"):
        (root / "dev" / name).touch()
    return root
