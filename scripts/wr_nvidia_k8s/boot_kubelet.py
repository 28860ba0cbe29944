# SPDX-License-Identifier: MIT
"""The kubelet of the virtual machine: the real one where it is built, else the stand-in, each as k3s.service."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from wr_nvidia_k8s import build_kubelet, freeze_parts, kubelet_settings
from wr_nvidia_k8s.boot_tools import merge
from wr_nvidia_k8s.freeze_parts import ARCHES, PYTHON

HERE = Path(__file__).resolve().parent
GUEST = HERE / "boot_guest"
_LIBRARY = "usr/local/lib/boot-test"
_STATE = Path("/var/lib/boot-test")
_MODULES = ("__init__.py", "boot_node.py", "kubelet_standin.py")


def best(arch: str) -> str:
    """real where this machine has one for the architecture, else standin."""
    return "real" if ARCHES[arch].native and not build_kubelet.missing() else "standin"


def install(kind: str, arch: str, tree: Path) -> list[str]:
    """Put the kubelet and what it needs into the root file system `tree`; returns the units to enable."""
    merge(GUEST / kind, tree)
    library = tree / _LIBRARY
    # The plugin's own dependencies have all that a kubelet's stand-in needs.
    shutil.copytree(freeze_parts.sysroot(ARCHES[arch]) / "usr/lib" / PYTHON / "site-packages", library)
    shutil.copytree(freeze_parts.plugin(), library, dirs_exist_ok=True)
    package = library / "wr_nvidia_k8s"
    package.mkdir()
    for name in _MODULES:
        shutil.copy(HERE / name, package)
    if kind == "standin":
        return ["k3s.service"]
    programs = tree / "usr/local/bin"
    programs.mkdir(parents=True, exist_ok=True)
    for program in build_kubelet.PROGRAMS:
        shutil.copy(build_kubelet.folder() / program, programs)
    configuration = tree / "etc/boot-test"
    configuration.mkdir()
    (configuration / "kubelet.json").write_text(json.dumps(kubelet_settings.kubelet(_STATE), indent=2))
    (configuration / "containerd.toml").write_text(kubelet_settings.containerd(_STATE))
    settings = [f"{name.replace('/', '.')} = {value}\n" for name, value in kubelet_settings.SYSCTLS.items()]
    (tree / "etc/sysctl.d/50-kubelet.conf").write_text("".join(settings))
    return ["k3s.service", "boot-test-node.path"]
