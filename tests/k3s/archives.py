# SPDX-License-Identifier: MIT
"""Container image archives as `docker save` writes them, small ones."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

PAUSE = "rancher/mirrored-pause:3.6"
COMPRESSORS = {
    "": ["cat"],
    ".gz": ["gzip", "-c"],
    ".zst": ["zstd", "-cq"],
    ".xz": ["xz", "-c"],
    ".bz2": ["bzip2", "-c"],
}
"""By the suffix after .tar: what compresses a file to stdout."""


def _tar(members: Sequence[tuple[str, bytes]]) -> bytes:
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, data in members:
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        return buffer.getvalue()


def save(path: Path, images: Sequence[str], *, arch: str = "amd64", content: str = "") -> Path:
    """Write the archive ``path`` of ``images``, each a layer with one file, compressed as its suffix says."""
    members: list[tuple[str, bytes]] = []
    manifest = []
    for number, image in enumerate(images):
        layer = _tar([("file", f"{image} {content}\n".encode())])
        config = {
            "architecture": arch,
            "os": "linux",
            "config": {"Cmd": ["/file"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
        members += [(f"{number}/layer.tar", layer), (f"{number}.json", json.dumps(config).encode())]
        manifest.append({"Config": f"{number}.json", "RepoTags": [image], "Layers": [f"{number}/layer.tar"]})
    members.append(("manifest.json", json.dumps(manifest).encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix if path.suffix in COMPRESSORS else ""
    path.write_bytes(subprocess.run(COMPRESSORS[suffix], input=_tar(members), capture_output=True, check=True).stdout)
    return path
