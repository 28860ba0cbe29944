# SPDX-License-Identifier: MIT
"""The program's stages: data flows one way, so each stage imports only those before it."""

import ast
from pathlib import Path

import pytest

from wr_nvidia_k8s.common.paths import PLUGIN

PACKAGE = PLUGIN / "nvidia_device_plugin"
BASE = ["errors", "text", "log", "waiting", "deviceplugin_v1beta1_pb2", "rpc", "model"]
STAGES = [*BASE, "config", "driver", "platforms", "resources", "state", "allocation", "kubelet", "daemon", "cli",
          "__main__"]


def imported(file: Path) -> set[str]:
    """The stages that a module imports, wherever in it that is."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE.name:
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE.name}."):
            names.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith(f"{PACKAGE.name}.")}
    return names - {"__version__"}


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py" and "_pb2" not in path.name)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_stage_imports_only_those_before_it(file: Path) -> None:
    stage = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert imported(file) <= set(STAGES[:STAGES.index(stage) + 1])


def test_only_the_worker_touches_the_drivers_library() -> None:
    found = {str(file.relative_to(PACKAGE)) for file in MODULES
             if any(name in file.read_text() for name in ("import pynvml", "import ctypes"))}
    assert found == {"driver/worker.py"}
