# SPDX-License-Identifier: MIT
"""The plugin of this checkout, ready to be imported, built into the cache: the checkout may be read-only.

    python -m wr_nvidia_k8s.lab.plugin_tree

prints the folder for PYTHONPATH. The recipe builds by the same command. The message classes in it are those of this
interpreter's protobuf.
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

from wr_nvidia_k8s.common.cache import Cached
from wr_nvidia_k8s.common.main import run_main
from wr_nvidia_k8s.common.process import run
from wr_nvidia_k8s.freeze.parts import PLUGIN, copy_plugin_sources, plugin_sources


def get() -> Path:
    """The folder that holds the package nvidia_device_plugin. Raises CommandError where it cannot be built."""
    names = "\n".join(str(path.relative_to(PLUGIN)) for path in plugin_sources())
    versions = (sys.version, *(importlib.metadata.version(name) for name in ("protobuf", "grpcio-tools")))
    return Cached("plugin", *versions, names, *plugin_sources()).get(_make)


def _make(folder: Path) -> None:
    source = folder / "source"
    copy_plugin_sources(source)
    command = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", folder / "python"]
    run(command, what="building the plugin", cwd=source)


def main() -> int:
    print(get() / "python")
    return 0


if __name__ == "__main__":
    run_main(main)
