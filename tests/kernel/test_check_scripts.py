# SPDX-License-Identifier: MIT
"""Docker's and k3s's own scripts that check a kernel's configuration, run against ours."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kernel import kernel_config, sources
from kernel.kernel_config import KERNELS, Kernel
from kernel.test_fragments import selected
from wr_nvidia_k8s.common.cache import Cached
from wr_nvidia_k8s.debian import apt
from wr_nvidia_k8s.debian.archive import Archive

DOCKER_SCRIPT = Path("usr/share/docker.io/contrib/check-config.sh")
# Why real-time groups are off is in containers.cfg. MEMCG_SWAP has no prompt after 5.8. The rest is storage below
# something else than overlay and ext4, networks that are no bridge, and FTP out of a container.
DOCKER_CAN_DO_WITHOUT = {
    "RT_GROUP_SCHED", "AUFS_FS", "BTRFS_FS", "BTRFS_FS_POSIX_ACL", "BLK_DEV_DM", "DM_THIN_PROVISIONING", "MEMCG_SWAP",
    "EXT3_FS", "EXT3_FS_XATTR", "EXT3_FS_POSIX_ACL", "EXT3_FS_SECURITY", "IPVLAN", "NF_NAT_FTP", "NF_CONNTRACK_FTP",
    "NF_NAT_TFTP", "NF_CONNTRACK_TFTP",
}  # fmt: skip
K3S_CAN_DO_WITHOUT = {"RT_GROUP_SCHED"}
# Options without a prompt: others of ours select them.
SELECTED = {"CRYPTO_AEAD": "CRYPTO_GCM", "XFRM": "XFRM_USER", "XFRM_ALGO": "XFRM_USER"}


def gone(kernel: Kernel) -> set[str]:
    """What k3s asks of every kernel, by a name that those from 5.2 on do not have."""
    return {"INET_XFRM_MODE_TRANSPORT"} if kernel_config.SINCE in kernel.fragments else set()


def docker_script() -> Path:
    """Docker's script, as Debian packages it; fetched where Docker is not installed."""
    installed = Path("/", DOCKER_SCRIPT)
    if installed.exists():
        return installed

    def make(folder: Path) -> None:
        Archive(apt.codename(), folder / "apt").binary(["docker.io"], folder / "package")
        target = folder / DOCKER_SCRIPT
        target.parent.mkdir(parents=True)
        shutil.copy(folder / "package" / DOCKER_SCRIPT, target)
        for scratch in ("apt", "package"):
            shutil.rmtree(folder / scratch)

    try:
        return Cached("kernel/docker", apt.codename()).get(make) / DOCKER_SCRIPT
    except apt.DebianError as error:
        pytest.skip(f"Docker's check-config.sh: {error}")


def missing(script: Path, shell: str, kernel: Kernel, folder: Path) -> tuple[set[str], set[str]]:
    """The options that ``script`` misses in the kernel's fragments: those that it calls necessary, and all others.

    Only what it says of options counts: the machine that it runs on is no board. That it must not ask, or change.
    """
    config = folder / "config"
    options = selected(kernel)
    options |= {name: "y" for name, by in SELECTED.items() if options.get(by) == "y"}
    config.write_text(kernel_config.text(options))
    commands = folder / "bin"
    commands.mkdir()
    for name, does in {"uname": f"echo {kernel.version}", "modprobe": "", "lsmod": "", "sudo": "exit 1"}.items():
        (commands / name).write_text(f"#!/bin/sh\n{does}\n")
        (commands / name).chmod(0o755)
    done = subprocess.run(
        [shell, str(script), str(config)],
        env={"PATH": f"{commands}:{os.environ['PATH']}", "CONFIG": str(config)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = re.sub(r"\x1b\[[\d;]*m", "", done.stdout)
    print(said)
    necessary, _, optional = said.partition("Optional Features:")
    assert "CONFIG_NAMESPACES: enabled" in necessary, done.stderr
    assert "CONFIG_OVERLAY_FS: enabled" in optional, done.stderr
    first, second = (set(re.findall(r"CONFIG_(\w+): missing", part)) for part in (necessary, optional))
    return first, second


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_docker_misses_nothing(kernel: Kernel, tmp_path: Path) -> None:
    necessary, optional = missing(docker_script(), "bash", kernel, tmp_path)
    assert necessary == set()
    assert optional - DOCKER_CAN_DO_WITHOUT - gone(kernel) == set()


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_k3s_misses_nothing(kernel: Kernel, tmp_path: Path) -> None:
    script = sources.find("k3s", "check out k3s there") / "contrib/util/check-config.sh"
    necessary, optional = missing(script, "sh", kernel, tmp_path)
    assert necessary == set()
    assert optional - K3S_CAN_DO_WITHOUT - gone(kernel) == set()


def test_an_option_that_is_missing_is_found(tmp_path: Path) -> None:
    """The script's words are what the tests above go by: they must be these."""
    fragment = tmp_path / "some.cfg"
    lines = kernel_config.COMMON.read_text().splitlines()
    fragment.write_text("\n".join(line for line in lines if line != "CONFIG_VETH=y" and "VXLAN" not in line))
    necessary, optional = missing(docker_script(), "bash", Kernel("6.6.63", (fragment, kernel_config.SINCE)), tmp_path)
    assert necessary == {"VETH"}
    assert "VXLAN" in optional
