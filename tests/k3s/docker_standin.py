#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stands in for the docker command, and takes nothing but what container-images-preload may use.

DOCKER_STANDIN is a folder: a file ``images.json`` of names and what is in them, and, while there is no such thing as a
daemon, a file ``down``. As Docker 20.10 does, it reads archives that are plain tar files or compressed by gzip.
"""

import json
import os
import sys
import tarfile
from pathlib import Path, PurePath


def short(image: str) -> str:
    """The name of an image as Docker keeps it."""
    return image.removeprefix("docker.io/")


def main() -> None:
    state = Path(os.environ["DOCKER_STANDIN"])
    if (state / "down").exists():
        sys.exit("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
    file = state / "images.json"
    images: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    if sys.argv[1:] == ["version"]:
        print("stand-in")
    elif sys.argv[1:3] == ["image", "inspect"] and len(sys.argv) == 4:
        if short(sys.argv[3]) not in images:
            sys.exit(f"Error: No such image: {sys.argv[3]}")
        print(images[short(sys.argv[3])])
    elif sys.argv[1:4] == ["load", "--quiet", "--input"] and len(sys.argv) == 5:
        try:
            with tarfile.open(sys.argv[4], "r:*") as archive:
                members = {str(PurePath(member.name)): member for member in archive.getmembers()}
                if "manifest.json" not in members:
                    sys.exit("open /var/lib/docker/tmp/docker-import-1/repositories: no such file or directory")
                for image in json.load(archive.extractfile(members["manifest.json"])):  # type: ignore[arg-type]
                    (layer,) = image["Layers"]
                    with tarfile.open(fileobj=archive.extractfile(members[layer])) as content:
                        data = content.extractfile("file").read().decode()  # type: ignore[union-attr]
                    images.update(dict.fromkeys(map(short, image["RepoTags"]), data))
        except (tarfile.TarError, EOFError, OSError) as error:
            sys.exit(f"Error processing tar file: {error}")
        file.write_text(json.dumps(images))
    else:
        sys.exit(f"docker stand-in: unexpected arguments: {sys.argv[1:]}")


main()
