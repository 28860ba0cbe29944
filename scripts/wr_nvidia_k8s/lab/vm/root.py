# SPDX-License-Identifier: MIT
"""A Debian with systemd and a kernel that boots in a virtual machine: the base system, without the software under test.

Cached as a folder with `tree/` (the root file system), `vmlinuz` and `initrd`. Made without root: no maintainer
script runs, so what the few of them do that matters is done here.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from wr_nvidia_k8s.common.cache import Cached, say
from wr_nvidia_k8s.debian import apt, root
from wr_nvidia_k8s.lab.vm import initramfs
from wr_nvidia_k8s.lab.vm.tools import run

_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = (
    *("base-files", "base-passwd", "bash", "coreutils", "grep", "libc-bin", "mount", "util-linux"),
    *("kmod", "systemd", "udev"),
    *("busybox-static",),  # for the initramfs
    *("e2fsprogs", "fdisk", "systemd-timesyncd"),  # what units of ours call
    *(f"{_PYTHON}-minimal", f"lib{_PYTHON}-stdlib", "libstdc++6"),  # for the kubelet's stand-in
)


def _cached(arch: str) -> Cached:
    sources = (Path(__file__), Path(initramfs.__file__))
    return Cached("boot/root", arch, apt.codename(), *PACKAGES, *sources)


def get(arch: str, *, refresh: bool = False) -> Path:
    """The cached folder for Debian's architecture `arch`. Raises AssemblyError and DebianError."""
    return _cached(arch).get(lambda folder: _make(folder, arch), refresh=refresh)


def _make(folder: Path, arch: str) -> None:
    say(f"boot-test: fetching a Debian with systemd and a kernel for {arch}")
    tree, scratch = folder / "tree", folder / "scratch"
    tree.mkdir()
    names = root.unpack(tree, arch, [*PACKAGES, f"linux-image-cloud-{arch}"], scratch / "apt")
    (folder / "packages").write_text("\n".join(names) + "\n", encoding="utf-8")
    (modules,) = (tree / "usr/lib/modules").iterdir()
    run(["depmod", "--basedir", tree, modules.name])
    (kernel,) = (tree / "boot").glob("vmlinuz-*")
    shutil.move(kernel, folder / "vmlinuz")
    shutil.rmtree(tree / "boot")
    _configure(tree)
    initramfs.write(tree, modules, folder / "initrd", scratch / "initramfs")
    shutil.rmtree(scratch)


def _configure(tree: Path) -> None:
    etc = tree / "etc"
    for name in ("passwd", "group"):
        shutil.copy(tree / "usr/share/base-passwd" / f"{name}.master", etc / name)
    # Debian's packages make these in their scripts; udev's rules name them.
    groups = "".join(f"g {name} -\n" for name in ("input", "kvm", "render", "sgx"))
    (etc / "sysusers.d").mkdir()
    (etc / "sysusers.d/udev.conf").write_text(groups, encoding="utf-8")
    run(["systemd-sysusers", f"--root={tree}"])
    for name in ("run", "lock"):  # systemd-tmpfiles makes links of them where nothing is in the way
        (tree / "var" / name).rmdir()
    (etc / "hostname").write_text("jetson\n", encoding="utf-8")
    # Empty, not missing: systemd makes one up, on a read-only file system for this boot only, and does not take
    # it for the very first boot (machine-id(5)).
    (etc / "machine-id").touch()
    (etc / "systemd/system/default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
    for name, program in (("sh", "bash"), ("python3", _PYTHON)):
        (tree / "usr/bin" / name).symlink_to(program)
