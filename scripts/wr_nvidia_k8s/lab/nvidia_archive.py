# SPDX-License-Identifier: MIT
"""A stand-in for NVIDIA-Linux-x86_64-VERSION.run: the same format, with libraries and tools that do nothing.

The form is that of a makeself archive (https://makeself.io) as NVIDIA makes them: a shell script that says with
``skip=`` at which line, counted from 1, the payload begins, a tar compressed by zstd, without a top folder.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

LICENSE = b"Stand-in for NVIDIA's licence.\n"
# By file name, with the driver's version for {}: the name that the file gives itself (SONAME).
LIBRARIES = {
    "libcuda.so.{}": "libcuda.so.1",
    "libnvidia-cfg.so.{}": "libnvidia-cfg.so.1",
    "libnvidia-gpucomp.so.{}": "libnvidia-gpucomp.so.{}",
    "libnvidia-ml.so.{}": "libnvidia-ml.so.1",
    "libnvidia-nvvm.so.{}": "libnvidia-nvvm.so.4",
    "libnvidia-nvvm70.so.4": "libnvidia-nvvm70.so.4",
    "libnvidia-ptxjitcompiler.so.{}": "libnvidia-ptxjitcompiler.so.1",
}
TOOLS = ("nvidia-modprobe", "nvidia-persistenced", "nvidia-smi")
FIRMWARE = ("gsp_ga10x.bin", "gsp_tu10x.bin")
# What the archive holds besides and a node has no use for: graphics, the closed module, the 32-bit libraries.
BESIDES = ("libGLX_nvidia.so.{}", "nvidia_drv.so", "nvidia-installer", "kernel/nvidia/nv-kernel.o_binary",
           "32/libcuda.so.{}")  # fmt: skip

_SCRIPT = b"""#!/bin/sh
# This script was generated using Makeself
skip=%d
echo "expected nobody to run this" >&2
exit 1
"""
_MACHINE_OFFSET, _RISCV = 18, 243  # e_machine in the ELF header (elf.h)


@dataclass
class Archive:
    """The file, and what the recipe must know about it."""

    path: Path
    sha256: str
    license_md5: str = hashlib.md5(LICENSE).hexdigest()  # as LIC_FILES_CHKSUM has it


def make(folder: Path, version: str, script: bytes = _SCRIPT) -> Archive:
    """Write the archive of ``version`` into ``folder``; ``script`` has a %d for the payload's line."""
    members = {"LICENSE": LICENSE}
    for name, soname in LIBRARIES.items():
        members[name.format(version)] = _library(folder, soname.format(version))
    program = _library(folder, "program")
    members |= dict.fromkeys(TOOLS, program)
    firmware = bytearray(program)
    firmware[_MACHINE_OFFSET : _MACHINE_OFFSET + 2] = _RISCV.to_bytes(2, "little")
    members |= {f"firmware/{name}": bytes(firmware) for name in FIRMWARE}
    members |= {name.format(version): b"not wanted\n" for name in BESIDES}
    payload = io.BytesIO()
    with tarfile.open(fileobj=payload, mode="w") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    compressed = subprocess.run(["zstd", "-qc"], input=payload.getvalue(), capture_output=True, check=True).stdout
    line = script.count(b"\n") + 1
    content = (script % line if b"%d" in script else script) + compressed
    path = folder / f"NVIDIA-Linux-x86_64-{version}.run"
    path.write_bytes(content)
    return Archive(path, hashlib.sha256(content).hexdigest())


def _library(folder: Path, soname: str) -> bytes:
    out = folder / "library.so"
    flags = ["-shared", "-fPIC", "-s", "-x", "c", f"-Wl,-soname,{soname}"]
    subprocess.run(["gcc", *flags, "-o", out, "-"], input=b"int nothing;\n", check=True)
    return out.read_bytes()
