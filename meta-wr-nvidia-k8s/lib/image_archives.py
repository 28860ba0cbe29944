# SPDX-License-Identifier: MIT
"""Makes of a directory of container image archives what container-images-preload loads on the device.

    image_archives.py DIRECTORY OUTPUT --arch arm64

An archive is what ``docker save`` writes, as it is or compressed by gzip, bzip2, xz or zstd; k3s's own
k3s-airgap-images-ARCH are such archives. Docker 20.10 reads no zstd, and xz only with a program that the device may
lack: OUTPUT gets every archive compressed by gzip, and a file ``index`` with a line for each: its name there, its
SHA-256 sum and the names of its images, separated by spaces. Warnings go to stderr, a line each.

The archive's format: https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

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


def images(tar: Path, name: str, arch: str) -> list[str]:
    """The names of the images in ``tar``; each image is for ``arch`` (Go's name). ``name`` is for the errors."""

    def member(path: str) -> Any:
        try:
            stream = archive.extractfile(path)
        except KeyError:
            stream = None
        if stream is None:
            raise ArchiveError(f"{name}: expected what docker save writes, found a tar archive without {path}")
        return json.load(stream)

    found: list[str] = []
    try:
        with tarfile.open(tar, "r:") as archive:
            manifest = member("manifest.json")
            if not (isinstance(manifest, list) and manifest):
                raise ValueError("a manifest.json without images")
            for image in manifest:
                names = image.get("RepoTags") or []
                is_for = member(image["Config"]).get("architecture")
                if is_for != arch:
                    what = ", ".join(names) or "an image without a name"
                    raise ArchiveError(f"{name}: expected images for {arch}, found {what} for {is_for}")
                found += names
                # To know all members, the archive is read to its end.
                if missing := set(image["Layers"]) - set(archive.getnames()):
                    raise ArchiveError(f"{name}: expected all layers of {names}, found none of {sorted(missing)}")
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError(f"{name}: expected a whole tar archive, found: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArchiveError(f"{name}: expected what docker save writes, found other metadata: {error!r}") from None
    if bad := [one for one in found if not re.fullmatch(r"[\w.:/@-]+", one)]:
        raise ArchiveError(f"{name}: expected names of images, found {bad}")
    return found


def preload(directory: Path, output: Path, arch: str) -> list[str]:
    """Fill ``output`` from the archives in ``directory``; returns what to warn of."""
    if not directory.is_dir():
        raise ArchiveError("expected a directory of container image archives, found none of this name")
    files = sorted(path for path in directory.iterdir() if path.is_file() and not path.name.startswith("."))
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
            names = images(tar, archive.name, arch)
            if is_gzip:
                shutil.copyfile(archive, output / name)
            else:
                _filter(["gzip", "--no-name", "--stdout"], tar, output / name)
        index[name] = (_sha256(output / name), names)
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
    """What the module's own description says."""
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
