# SPDX-License-Identifier: MIT
"""Minimal initramfs: the drivers that a Debian kernel needs to mount a virtio disk, and a shell to load them.

Debian's own initramfs generators work on the running system only. Format: the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from wr_nvidia_k8s.lab.vm.tools import AssemblyError

# Built into some of Debian's kernels, modules of others.
DRIVERS = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic")

_INIT = """\
#!/bin/busybox sh
# The root file system is mounted as the kernel's command line says, like the kernel itself would do it.
set -e
for kind in devtmpfs:/dev proc:/proc sysfs:/sys; do
    busybox mount -t "${kind%:*}" "${kind%:*}" "${kind#*:}"
done
for module in MODULES; do
    busybox insmod "$module"
done
mode=rw
device=/dev/vda
for word in $(busybox cat /proc/cmdline); do
    case $word in
    ro | rw) mode=$word ;;
    root=*) device=${word#root=} ;;
    esac
done
busybox mount -t ext4 -o "$mode" "$device" /root
busybox umount /proc
busybox umount /sys
busybox mount --move /dev /root/dev
exec busybox switch_root /root /lib/systemd/systemd
"""


def _modules(folder: Path) -> list[Path]:
    """The drivers' files below /lib/modules/VERSION, each after those that it needs (modules.dep(5))."""
    needs: dict[Path, list[Path]] = {}
    for line in (folder / "modules.dep").read_text(encoding="utf-8").splitlines():
        file, _, others = line.partition(":")
        needs[Path(file)] = [Path(other) for other in others.split()]
    builtin = {Path(line).stem for line in (folder / "modules.builtin").read_text(encoding="utf-8").splitlines()}
    files = {file.stem.replace("-", "_"): file for file in needs}
    result: list[Path] = []
    for name in DRIVERS:
        if name in files:
            # modules.dep names what is needed last first, all levels of it.
            result += [*reversed(needs[files[name]]), files[name]]
        elif name not in {stem.replace("-", "_") for stem in builtin}:
            raise AssemblyError(f"expected the driver {name} in the kernel of {folder}, found none")
    return list(dict.fromkeys(result))


def write(root: Path, modules: Path, output: Path, scratch: Path) -> None:
    """Write the initramfs of the kernel whose modules are in `modules`, with the busybox-static of the tree `root`.

    scratch: a folder that does not exist yet. Raises AssemblyError.
    """
    for name in ("bin", "dev", "proc", "sys", "root", "modules"):
        (scratch / name).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", scratch / "bin")
    files = _modules(modules)
    for file in files:
        shutil.copy(modules / file, scratch / "modules")
    init = scratch / "init"
    init.write_text(_INIT.replace("MODULES", " ".join(f"/modules/{file.name}" for file in files)), encoding="utf-8")
    init.chmod(0o755)
    names = sorted(str(path.relative_to(scratch)) for path in scratch.rglob("*"))
    with output.open("wb") as archive:
        command = ["cpio", "--quiet", "--create", "--format=newc", "--owner=0:0"]
        done = subprocess.run(
            command, cwd=scratch, input="\n".join(names).encode(), stdout=archive, stderr=subprocess.PIPE, check=False
        )
    if done.returncode:
        raise AssemblyError(f"cpio ended with {done.returncode}: {done.stderr.decode().strip()}")
