# SPDX-License-Identifier: MIT
"""The kubelet of the virtual machine, as k3s.service: the real one if it has been built, otherwise the stand-in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from wr_nvidia_k8s.freeze import parts
from wr_nvidia_k8s.freeze.parts import ARCHES, PYTHON
from wr_nvidia_k8s.lab.kubelet import build, settings
from wr_nvidia_k8s.lab.vm.tools import merge

HERE = Path(__file__).resolve().parent
GUEST = HERE / "guest"
_LIBRARY = "usr/local/lib/boot-test"
_STATE = Path("/var/lib/boot-test")
_PACKAGE = HERE.parents[1]
# With the packages that they are in.
MODULES = ("lab/vm/node.py", "lab/kubelet/standin.py", "common/errors.py", "common/waiting.py")


def best(arch: str) -> str:
    """real where this machine has one for the architecture, else standin."""
    return "real" if ARCHES[arch].native and not build.missing() else "standin"


def install(kind: str, arch: str, tree: Path) -> list[str]:
    """Put the kubelet and what it needs into the root file system `tree`; returns the units to enable."""
    merge(GUEST / kind, tree)
    library = tree / _LIBRARY
    # The plugin's own dependencies have all that a kubelet's stand-in needs.
    shutil.copytree(parts.sysroot(ARCHES[arch]) / "usr/lib" / PYTHON / "site-packages", library)
    shutil.copytree(parts.plugin(), library, dirs_exist_ok=True)
    for module in map(_PACKAGE.joinpath, MODULES):
        for file in (module, *(folder / "__init__.py" for folder in module.parents if folder.is_relative_to(_PACKAGE))):
            copy = library / file.relative_to(_PACKAGE.parent)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    if kind == "standin":
        return ["k3s.service"]
    programs = tree / "usr/local/bin"
    programs.mkdir(parents=True, exist_ok=True)
    for program in build.PROGRAMS:
        shutil.copy(build.folder() / program, programs)
    configuration = tree / "etc/boot-test"
    configuration.mkdir()
    (configuration / "kubelet.json").write_text(json.dumps(settings.kubelet(_STATE), indent=2))
    (configuration / "containerd.toml").write_text(settings.containerd(_STATE))
    sysctls = [f"{name.replace('/', '.')} = {value}\n" for name, value in settings.SYSCTLS.items()]
    (tree / "etc/sysctl.d/50-kubelet.conf").write_text("".join(sysctls))
    return ["k3s.service", "boot-test-node.path"]
