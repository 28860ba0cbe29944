# SPDX-License-Identifier: MIT
"""Prepares a directory of container image archives for container-images-preload, which loads them on the device.

    image_archives.py DIRECTORY OUTPUT --arch arm64

An archive is what ``docker save`` writes, or an OCI image layout with the images' names in it, as it is or compressed
by gzip, bzip2, xz or zstd; k3s's own k3s-airgap-images-ARCH are such archives. Docker 20.10 reads no zstd, and xz only
with a program that the device may lack, and no Docker loads an OCI layout without the manifest of ``docker save``:
OUTPUT gets every archive with that and compressed by gzip, and a file ``index`` with a line for each: its name there,
its SHA-256 sum and the names of its images, separated by spaces. Warnings go to stderr, one per line.

The formats: https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md,
https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import lzma
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import IO, Any

SUFFIX = re.compile(r"\.(tar(\.(gz|bz2|xz|zst|zstd))?|tgz|tbz2?|txz|tzst)$")
"""How the name of an archive ends."""
PAUSE = re.compile(r"(docker\.io/)?rancher/mirrored-pause:")
"""The image of every pod's sandbox, as k3s names it; its version is k3s's matter."""
PROGRAMS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""What compressed a file, by what it begins with."""


class ArchiveError(Exception):
    """An archive that cannot be preloaded; the text says which, what was expected and what was found."""


def plain(archive: Path, tar: Path) -> bool:
    """Write ``archive`` to ``tar`` without its compression; whether that was gzip's."""
    with archive.open("rb") as stream:
        start = stream.read(6)
    program = next((name for magic, name in PROGRAMS.items() if start.startswith(magic)), None)
    try:
        if program == "xz":  # BitBake offers its tasks the other programs, but not this one.
            with lzma.open(archive) as source, tar.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        elif program:
            _filter([program, "-d", "-c", "-q"], archive, tar)
        else:
            shutil.copyfile(archive, tar)
    except (EOFError, OSError, lzma.LZMAError) as error:
        text = f"{archive.name}: expected a whole archive, found one that cannot be read: {error}"
        raise ArchiveError(text) from None
    return program == "gzip"


def _filter(command: list[str], source: Path, target: Path) -> None:
    with source.open("rb") as stdin, target.open("wb") as stdout:
        done = subprocess.run(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.strip() or f"{command[0]} ended with {done.returncode}")


class _Tar:
    """The members of a plain tar archive by their paths, with or without a leading ``./``."""

    def __init__(self, archive: tarfile.TarFile, name: str) -> None:
        self._archive = archive
        self._name = name
        # To know all members, the archive is read to its end.
        self._members = {str(PurePath(member.name)): member for member in archive.getmembers()}

    def __contains__(self, path: str) -> bool:
        return str(PurePath(path)) in self._members

    def _open(self, path: str) -> IO[bytes]:
        member = self._members.get(str(PurePath(path)))
        stream = member and self._archive.extractfile(member)
        if not stream:
            raise ArchiveError(f"{self._name}: expected what docker save writes, found a tar archive without {path}")
        return stream

    def json(self, path: str) -> Any:
        """The parsed file ``path``."""
        return json.load(self._open(path))

    def copy(self, path: str, target: Path) -> None:
        """Write the file ``path`` to ``target``."""
        with target.open("wb") as file:
            shutil.copyfileobj(self._open(path), file, 1 << 20)


def images(tar: Path, name: str, arch: str) -> list[str]:
    """The names of the images in ``tar``; each image is for ``arch`` (Go's name). ``name`` is for the errors."""
    found: list[str] = []
    try:
        with tarfile.open(tar, "r:") as archive:
            members = _Tar(archive, name)
            manifest = members.json("manifest.json")
            if not (isinstance(manifest, list) and manifest):
                raise ValueError("a manifest.json without images")
            for image in manifest:
                names = image.get("RepoTags") or []
                is_for = members.json(image["Config"]).get("architecture")
                if is_for != arch:
                    what = ", ".join(names) or "an image without a name"
                    raise ArchiveError(f"{name}: expected images for {arch}, found {what} for {is_for}")
                found += names
                if missing := sorted(layer for layer in image["Layers"] if layer not in members):
                    raise ArchiveError(f"{name}: expected all layers of {names}, found none of {missing}")
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError(f"{name}: expected a whole tar archive, found: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArchiveError(f"{name}: expected what docker save writes, found other metadata: {error!r}") from None
    if bad := [one for one in found if not re.fullmatch(r"[\w.:/@-]+", one)]:
        raise ArchiveError(f"{name}: expected names of images, found {bad}")
    return found


def _blob(descriptor: Any) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/", 1)


def _oci_manifests(members: _Tar, index: Any, arch: str, image: str = "") -> Iterator[tuple[str, Any]]:
    """Each image of an OCI index that is for ``arch``, or that does not say: its name and its manifest."""

    def fits(descriptor: Any) -> bool:
        return bool((descriptor.get("platform") or {}).get("architecture", arch) == arch)

    for descriptor in filter(fits, index["manifests"]):
        annotations = descriptor.get("annotations") or {}
        reference = annotations.get("org.opencontainers.image.ref.name", "")
        # A tag alone names no image.
        full = reference if re.search("[/:]", reference) else ""
        named = image or annotations.get("io.containerd.image.name", full)
        document = members.json(_blob(descriptor))
        if "manifests" in document:
            yield from _oci_manifests(members, document, arch, named)
        else:
            yield named, document


def complete(tar: Path, name: str, arch: str) -> bool:
    """Give an OCI image layout the manifest.json that Docker loads images by; whether ``tar`` was one without."""
    manifest = []
    layers: dict[str, str] = {}
    with tempfile.TemporaryDirectory(dir=tar.parent) as folder:
        try:
            with tarfile.open(tar, "r:") as archive:
                members = _Tar(archive, name)
                if "manifest.json" in members or "oci-layout" not in members:
                    return False
                for image, document in _oci_manifests(members, members.json("index.json"), arch):
                    if not image:
                        raise ArchiveError(
                            f"{name}: expected the name of each image in index.json, found one without; "
                            f"try: skopeo copy oci-archive:{name} docker-archive:NEW.tar:NAME:TAG"
                        )
                    for layer in document["layers"]:
                        path = layers.setdefault(layer["digest"], _blob(layer))
                        # Docker 20.10 knows no zstd. A layer's identity is that of its uncompressed content.
                        if layer["mediaType"].endswith("+zstd") and path == _blob(layer):
                            plain_layer = Path(folder) / f"{len(layers)}.tar"
                            members.copy(path, plain_layer.with_suffix(".zst"))
                            _filter(["zstd", "-d", "-c", "-q"], plain_layer.with_suffix(".zst"), plain_layer)
                            layers[layer["digest"]] = plain_layer.name
                    paths = [layers[layer["digest"]] for layer in document["layers"]]
                    manifest.append({"Config": _blob(document["config"]), "RepoTags": [image], "Layers": paths})
        except (AttributeError, KeyError, OSError, TypeError, ValueError, EOFError, tarfile.TarError) as error:
            raise ArchiveError(f"{name}: expected an OCI image layout, found: {error!r}") from None
        if not manifest:
            raise ArchiveError(f"{name}: expected images for {arch}, found none in its index.json")
        with tarfile.open(tar, "a:") as archive:
            for file in sorted(Path(folder).glob("*.tar")):
                entry = tarfile.TarInfo(file.name)
                entry.size = file.stat().st_size
                with file.open("rb") as stream:
                    archive.addfile(entry, stream)
            data = json.dumps(manifest).encode()
            entry = tarfile.TarInfo("manifest.json")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return True


def preload(directory: Path, output: Path, arch: str) -> list[str]:
    """Fill ``output`` from the archives in ``directory``; returns the warnings."""
    if not directory.is_dir():
        raise ArchiveError("expected a directory of container image archives, found none of this name")
    files = sorted(path for path in directory.iterdir() if not (path.is_dir() or path.name.startswith(".")))
    for path in files:
        if not path.exists():
            raise ArchiveError(f"{path.name}: expected a file, found a link to {path.readlink()}, where nothing is")
    archives = [path for path in files if SUFFIX.search(path.name)]
    if not archives:
        others = f"only {', '.join(path.name for path in files)}" if files else "none"
        raise ArchiveError(f"expected container image archives (NAME.tar, NAME.tar.gz, NAME.tar.zst), found {others}")
    warnings = [f"{path.name}: not preloaded, its name is no archive's" for path in files if path not in archives]
    index: dict[str, tuple[str, list[str]]] = {}
    for archive in archives:
        name = SUFFIX.sub("", archive.name) + ".tar.gz"
        if not re.fullmatch(r"[\w.+-]+", name):
            raise ArchiveError(f"{archive.name}: expected a name of letters, digits and . + - _")
        if name in index:
            raise ArchiveError(f"{archive.name}: expected one archive of this name, found another with another suffix")
        with tempfile.TemporaryDirectory(dir=output) as folder:
            tar = Path(folder) / "plain.tar"
            is_gzip = plain(archive, tar)
            is_as_it_was = not complete(tar, archive.name, arch)
            names = images(tar, archive.name, arch)
            if is_gzip and is_as_it_was:
                shutil.copyfile(archive, output / name)
            else:
                _filter(["gzip", "--no-name", "--stdout"], tar, output / name)
        index[name] = (_sha256(output / name), names)
        warnings += [f"{archive.name}: {image} is pulled all the same, which needs a network, unless the pod says "
                     "imagePullPolicy: IfNotPresent; preload it under a tag other than latest"
                     for image in names if image.endswith(":latest")]  # fmt: skip
    lines = [" ".join([name, checksum, *names]) + "\n" for name, (checksum, names) in sorted(index.items())]
    (output / "index").write_text("".join(lines))
    if not any(PAUSE.match(image) for _, names in index.values() for image in names):
        warnings.append("no archive holds rancher/mirrored-pause, without which no pod starts on a node that has no "
                        "network: add the k3s-airgap-images of the k3s version in the image")  # fmt: skip
    return warnings


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def main() -> None:
    """Run the program that the module's docstring describes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--arch", required=True, help="the architecture of the device, by Go's name: arm64, amd64")
    arguments = parser.parse_args()
    try:
        warnings = preload(arguments.directory, arguments.output, arguments.arch)
    except ArchiveError as error:
        sys.exit(str(error))
    for warning in warnings:
        print(warning, file=sys.stderr)
    print((arguments.output / "index").read_text(), end="")


if __name__ == "__main__":
    main()
