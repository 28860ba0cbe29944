# SPDX-License-Identifier: MIT
"""The services around k3s do their work in the sandbox that their units make, by a real systemd."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import image_archives
from k3s.archives import PAUSE, save
from k3s.systemd_room import PLAIN, Room

RECIPES = Path(__file__).resolve().parents[2] / "recipes-containers"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    yield room
    room.end()


def unit(room: Room, source: Path, name: str, share: str = "") -> None:
    """Add our service ``name``, whose program and data are in /run/package: the sandbox hides a test's folder."""
    text = (source / f"{name}.service").read_text()
    text = text.replace("@LIBEXECDIR@", "/run/package").replace("@DATADIR@", "/run/package/share")
    room.write(f"{name}.service", text.replace("[Unit]\n", f"{PLAIN}After=package.service\n"))
    package = room.folder / "package"
    package.mkdir(exist_ok=True)
    shutil.copy(source / name, package)
    room.oneshot("package", "package", command=f"cp -r {package} /run/package")


def result(room: Room, name: str, command: str) -> str:
    """Boot, and what ``command`` prints after the service ``name`` ran without an error."""
    output = room.folder / "output"
    room.oneshot("end", "end", f"After={name}.service\n", f"systemctl is-active {name} >{output}; {command} >>{output}")
    room.boot("package.service", f"{name}.service", "end.service")
    room.until("end")
    state, _, printed = output.read_text().partition("\n")
    assert state == "active", f"{name}: {state}"
    return printed


def test_labels_are_written(room: Room) -> None:
    unit(room, RECIPES / "k3s/k3s-node-labels", "k3s-node-labels")
    file = "/etc/rancher/k3s/config.yaml.d/00-node-labels.yaml"
    labels = yaml.safe_load(result(room, "k3s-node-labels", f"cat {file}"))["node-label+"]
    assert any(re.fullmatch(r"wr-nvidia-k8s/memory-gib=\d+", label) for label in labels)


def test_images_are_loaded(room: Room) -> None:
    program = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    if program is None:
        pytest.skip("dockerd: apt-get install docker.io")
    save(room.folder / "images" / "pause.tar.zst", [PAUSE])
    archives = room.folder / "package" / "share" / "container-images-preload"
    archives.mkdir(parents=True)
    image_archives.preload(room.folder / "images", archives, "amd64")
    unit(room, RECIPES / "container-images-preload/container-images-preload", "container-images-preload")
    options = "--iptables=false --bridge=none --storage-driver=vfs --host unix:///run/docker.sock"
    for option in ("data-root", "exec-root", "pidfile"):
        options += f" --{option} /run/dockerd-{option}"
    service = f"[Service]\nType=notify\nExecStart={program} {options} --config-file /run/package/daemon.json\n"
    (room.folder / "package" / "daemon.json").write_text("{}")
    room.write("docker.service", f"{PLAIN}After=package.service\n{service}")
    names = result(room, "container-images-preload", "docker image ls --format={{.Repository}}:{{.Tag}}")
    assert names.split() == [PAUSE]
