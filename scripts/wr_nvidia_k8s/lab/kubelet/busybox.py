# SPDX-License-Identifier: MIT
"""A container image with nothing in it but busybox, made without a registry.

The format is that of ``docker save`` (Docker image specification v1.2), which containerd imports.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

IMAGE = "localhost/busybox:latest"


def write(busybox: Path, output: Path) -> None:
    """Write the image `IMAGE`, made from the static program ``busybox``, as the tar file ``output``.

    Its command waits forever, so that it also serves as a pod's pause container.
    """
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as layer:
            layer.add(busybox, "bin/busybox")
            for applet in applets:
                if applet != "busybox":
                    link = tarfile.TarInfo(f"bin/{applet}")
                    link.type = tarfile.SYMTYPE
                    link.linkname = "busybox"
                    layer.addfile(link)
        content = buffer.getvalue()
    config = {
        "architecture": _architecture(),
        "os": "linux",
        "config": {"Cmd": ["/bin/tail", "-f", "/dev/null"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    with tarfile.open(output, "w") as image:
        for name, data in (
            ("layer.tar", content),
            ("config.json", json.dumps(config).encode()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            image.addfile(entry, io.BytesIO(data))


def _architecture() -> str:
    """This machine's architecture as container images name it (the same as Debian's name)."""
    return subprocess.run(
        ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
    ).stdout.strip()
