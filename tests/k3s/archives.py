# SPDX-License-Identifier: MIT
"""Container image archives as `docker save`, and as others write them, small ones."""

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
    return _write(path, members)


def _compressed(data: bytes, suffix: str) -> bytes:
    return subprocess.run(COMPRESSORS[suffix], input=data, capture_output=True, check=True).stdout


def _write(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_compressed(_tar(members), path.suffix if path.suffix in COMPRESSORS else ""))
    return path


def retar(path: Path) -> None:
    """Unpack the plain archive ``path`` and pack it again, as `tar -c .` does in its folder."""
    folder = path.with_suffix(".unpacked")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-f", path, "-C", folder], check=True)
    subprocess.run(["tar", "-c", "-f", path, "-C", folder, "."], check=True)


def save_oci(
    path: Path,
    images: Sequence[str],
    *,
    arches: Sequence[str] = ("amd64",),
    compression: str = ".gz",
    annotation: str = "io.containerd.image.name",
) -> Path:
    """Write ``path`` as an OCI image layout; images for several architectures are an index each."""
    members = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def blob(data: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        members[f"blobs/sha256/{digest}"] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    kinds = "application/vnd.oci.image."
    top = []
    for image in images:
        manifests: list[dict[str, object]] = []
        for arch in arches:
            layer = _tar([("file", f"{image} {arch}\n".encode())])
            layer_kind = f"{kinds}layer.v1.tar+{ {'.gz': 'gzip', '.zst': 'zstd'}[compression] }"
            config = {
                "architecture": arch, "os": "linux", "config": {"Cmd": ["/file"]},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            }  # fmt: skip
            manifest = {
                "schemaVersion": 2, "mediaType": f"{kinds}manifest.v1+json",
                "config": blob(json.dumps(config).encode(), f"{kinds}config.v1+json"),
                "layers": [blob(_compressed(layer, compression), layer_kind)],
            }  # fmt: skip
            descriptor = blob(json.dumps(manifest).encode(), f"{kinds}manifest.v1+json")
            manifests.append({**descriptor, "platform": {"os": "linux", "architecture": arch}})
        if len(manifests) == 1:
            del manifests[0]["platform"]
            (one,) = manifests
        else:
            index = {"schemaVersion": 2, "mediaType": f"{kinds}index.v1+json", "manifests": manifests}
            one = blob(json.dumps(index).encode(), f"{kinds}index.v1+json")
        top.append({**one, "annotations": {annotation: image}})
    members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": top}).encode()
    return _write(path, list(members.items()))
