# SPDX-License-Identifier: MIT
"""Fixtures of the plugin's tests."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from wr_nvidia_k8s.kubelet_standin import KubeletStandin


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
