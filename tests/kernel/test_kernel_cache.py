# SPDX-License-Identifier: MIT
"""Our features among those of linux-yocto's kernel-cache, put together by the Yocto Project's own tool (scc).

Both are sources of other projects, used where a developer has laid them out (sources.folder()).
"""

import os
import subprocess
from pathlib import Path

import pytest

from kernel import kconfig, kernel_config, sources
from kernel.kernel_config import COMMON, FEATURES, GPU, SINCE

CONTAINERS = "features/nvidia-k8s/containers.scc"
# What the other layers ask for beside us: linux-yocto's recipe, and meta-virtualization where the distribution has
# the features virtualization and k3s. All of it is built as modules, and real-time groups are on.
OTHERS = """
    features/netfilter/netfilter.scc cfg/virtio.scc cfg/xt-checksum.scc cfg/vswitch.scc cfg/lxc.scc cfg/docker.scc
    cfg/cgroup-hugetlb.scc cfg/criu.scc cfg/kubernetes.scc
"""
MACHINES = [
    ("qemuarm64", "standard", "arm64", [CONTAINERS]),
    ("common-pc-64", "standard", "x86_64", [CONTAINERS]),
    ("intel-x86-64", "standard", "x86_64", [CONTAINERS, "features/nvidia-k8s/nvidia-gpu.scc"]),
    ("intel-x86-64", "preempt-rt", "x86_64", [CONTAINERS, "features/nvidia-k8s/nvidia-gpu.scc"]),
]
IDS = [f"{machine}-{kind}" for machine, kind, _, _ in MACHINES]


def put_together(machine: str, kind: str, features: list[str], folder: Path) -> str:
    """The configuration of ``machine`` with ``features``, as the task kernel_metadata collects it; a file's text."""
    cache = sources.find("yocto-kernel-cache", "check out the branch yocto-6.6 there")
    tools = sources.find("yocto-kernel-tools", "check out kern-tools-native's sources there")
    environment = {**os.environ, "PATH": f"{tools}/tools:{os.environ['PATH']}"}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("git", "init", "--quiet", ".")
    (folder / ".kernel-meta").mkdir()
    include = [f"-I{cache}", f"-I{FEATURES.parents[1]}"]
    (start,) = run("spp", *include, "--find", f"-DKMACHINE={machine}", f"-DKTYPE={kind}").split()
    run("scc", "--force", "-o", f"{folder}/.kernel-meta:cfg,merge,meta", *include, start, *features)
    fragments = run("scc", "--configs", "-o", f"{folder}/.kernel-meta").split()
    return "\n".join(Path(fragment).read_text() for fragment in fragments)


@pytest.mark.parametrize(("machine", "kind", "arch", "ours"), MACHINES, ids=IDS)
def test_ours_hold_against_the_kernel_cache(
    machine: str, kind: str, arch: str, ours: list[str], tmp_path: Path
) -> None:
    config = put_together(machine, kind, [*OTHERS.split(), *ours], tmp_path)
    wanted = kernel_config.merge([COMMON, SINCE, GPU][: len(ours) + 1])
    tree = kconfig.debian_kernel("bookworm", "6.1")
    assert kconfig.lost(wanted, kconfig.resolve(tree, arch, config, tmp_path / "output")) == {}


def test_features_before_the_others_do_not_hold(tmp_path: Path) -> None:
    """Why ours come last; were it not so, this would say it, and nothing had to be built in again."""
    config = put_together("qemuarm64", "standard", [CONTAINERS, *OTHERS.split()], tmp_path)
    tree = kconfig.debian_kernel("bookworm", "6.1")
    resolved = kconfig.resolve(tree, "arm64", config, tmp_path / "output")
    assert kconfig.lost({"IP_VS_RR": "y", "RT_GROUP_SCHED": "n"}, resolved) == {"IP_VS_RR": "m", "RT_GROUP_SCHED": "y"}
