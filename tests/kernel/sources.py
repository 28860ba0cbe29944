# SPDX-License-Identifier: MIT
"""Other projects' sources that these tests look into where they are: nothing of them is in this repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wr_nvidia_k8s.common import cache


def folder() -> Path:
    """Where a developer may lay sources out, each under the name that the tests ask for."""
    return Path(os.environ.get("WR_NVIDIA_K8S_SOURCES") or cache.root() / "sources")


def find(name: str, what: str) -> Path:
    """The sources ``name``; without them the test is skipped, and says ``what`` to lay out and where."""
    path = folder() / name
    if not path.exists():
        pytest.skip(f"{path}: {what}")
    return path
