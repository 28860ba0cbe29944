# SPDX-License-Identifier: MIT
"""Preloaded container images, from the user's directory to the engine on the device.

The engine is Debian's real one where it can run, and a stand-in that is as strict.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import image_archives
from k3s.archives import COMPRESSORS, PAUSE, retar, save, save_oci
from wr_nvidia_k8s.lab.room.room import unavailable

TOP = Path(__file__).resolve().parents[2]
SCRIPT = TOP / "recipes-containers/container-images-preload/container-images-preload/container-images-preload"
STANDIN = Path(__file__).with_name("docker_standin.py")
SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"]}
APP = "registry.example/app:1"


class Device:
    """A device with the archives of ``source`` in its image and an engine."""

    def __init__(self, folder: Path, shell: list[str], environment: dict[str, str]) -> None:
        self.source = folder / "source"
        self.archives = folder / "archives"
        self.state = folder / "state"
        self.state.mkdir()
        self.shell = shell
        self.environment = {"PATH": os.environ["PATH"], **environment}

    def build(self) -> list[str]:
        """Put what is in ``source`` into the image, in place of what was there."""
        shutil.rmtree(self.archives, ignore_errors=True)
        self.archives.mkdir()
        return image_archives.preload(self.source, self.archives, "amd64")

    def docker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["docker", *arguments], env=self.environment, capture_output=True, text=True, check=False)

    def has(self, image: str) -> bool:
        return self.docker("image", "inspect", image).returncode == 0

    def identity(self, image: str) -> str:
        done = self.docker("image", "inspect", image)
        return done.stdout

    def boot(self) -> subprocess.CompletedProcess[str]:
        command = [*self.shell, str(SCRIPT), str(self.archives), str(self.state)]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def loads(self) -> list[str]:
        """The names of the archives that a start without errors loads."""
        done = self.boot()
        assert (done.returncode, done.stderr) == (0, "")
        lines = [line for line in done.stdout.splitlines() if line.startswith("loading ")]
        return [Path(line.split()[1]).name for line in lines]


def standin(folder: Path) -> dict[str, str]:
    """The environment in which ``docker`` is the stand-in, with an engine of its own."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "docker").write_text(f'#!/bin/sh\nexec {sys.executable} {STANDIN} "$@"\n')
    (programs / "docker").chmod(0o755)
    (folder / "engine").mkdir()
    return {"DOCKER_STANDIN": str(folder / "engine"), "PATH": f"{programs}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def dockerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which ``docker`` reaches a real engine, which no container can be run on."""
    program = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    if program is None:
        pytest.skip("dockerd: apt-get install docker.io")
    if reason := unavailable():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("dockerd")
    options = ["--iptables=false", "--bridge=none", "--storage-driver=vfs", "--host", f"unix://{folder}/socket"]
    for option, name in (
        ("data-root", "data"),
        ("exec-root", "exec"),
        ("pidfile", "pid"),
        ("config-file", "none.json"),
    ):
        options += [f"--{option}", f"{folder}/{name}"]
    (folder / "none.json").write_text("{}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, (folder / "log").open("w") as log:
        ready.bind(str(folder / "ready"))
        ready.settimeout(120)
        environment = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(folder / "ready"), "HOME": str(folder)}
        process = subprocess.Popen([program, *options], env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            while b"READY=1" not in ready.recv(4096):
                pass
        except TimeoutError:
            process.kill()
            pytest.fail(f"expected dockerd to start; it said:\n{(folder / 'log').read_text()[-2000:]}")
        try:
            yield {"DOCKER_HOST": f"unix://{folder}/socket", "DOCKER_CONFIG": "/nonexistent"}
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(params=["stand-in", "dockerd"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    if request.param == "stand-in":
        yield standin(tmp_path)
        return
    environment: dict[str, str] = request.getfixturevalue("dockerd")
    yield environment
    whole = {"PATH": os.environ["PATH"], **environment}
    names = ["docker", "image", "ls", "--all", "--quiet"]
    images = subprocess.run(names, env=whole, capture_output=True, text=True, check=True).stdout.split()
    if images:
        subprocess.run(["docker", "image", "rm", "--force", *set(images)], env=whole, capture_output=True, check=True)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    command = SHELLS[request.param]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]}: apt-get install {command[0]}")
    return command


@pytest.fixture
def device(tmp_path: Path, shell: list[str], engine: dict[str, str]) -> Device:
    found = Device(tmp_path, shell, engine)
    save(found.source / "k3s-airgap-images-amd64.tar.zst", [f"docker.io/{PAUSE}", "rancher/klipper-lb:v0.4.5"])
    save(found.source / "app.tar", [APP])
    assert found.build() == []
    return found


def test_images_are_there_after_the_first_start_and_loaded_once(device: Device) -> None:
    assert device.loads() == ["app.tar.gz", "k3s-airgap-images-amd64.tar.gz"]
    assert all(device.has(image) for image in (PAUSE, "rancher/klipper-lb:v0.4.5", APP))
    assert device.loads() == []


def test_what_docker_lost_is_loaded_again(device: Device) -> None:
    """The kubelet removes unused images from a full disk; without a network they would never come back."""
    device.loads()
    if "DOCKER_STANDIN" in device.environment:
        file = Path(device.environment["DOCKER_STANDIN"]) / "images.json"
        images = json.loads(file.read_text())
        del images[APP]
        file.write_text(json.dumps(images))
    else:
        assert device.docker("image", "rm", APP).returncode == 0
    assert not device.has(APP)
    assert device.loads() == ["app.tar.gz"]
    assert device.has(APP)


def test_an_image_that_was_updated_stays(device: Device, tmp_path: Path) -> None:
    device.loads()
    newer = save(tmp_path / "newer.tar", [APP], content="newer")
    assert device.docker("load", "--quiet", "--input", str(newer)).returncode == 0
    updated = device.identity(APP)
    assert device.loads() == []
    assert device.identity(APP) == updated


def test_a_newer_archive_in_the_image_is_loaded(device: Device) -> None:
    device.loads()
    save(device.source / "app.tar", [APP], content="of the next release")
    device.build()
    assert device.loads() == ["app.tar.gz"]
    assert device.loads() == []


def test_what_cannot_be_loaded_is_named_and_the_rest_is_loaded(device: Device) -> None:
    broken = device.archives / "app.tar.gz"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    for _ in range(2):
        done = device.boot()
        assert done.returncode == 1, "a failure that systemctl --failed does not show"
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("<3>")]
        assert str(broken) in line and "systemctl restart container-images-preload" in line
        assert device.has(PAUSE) and not device.has(APP)
    broken.write_bytes(whole)
    assert device.loads() == ["app.tar.gz"]


def test_a_start_that_was_cut_short_is_made_up_for(device: Device) -> None:
    """Power that fails while the note is written leaves at most a new note beside none, or an empty one."""
    device.loads()
    (device.state / "app.tar.gz").write_text("")
    (device.state / "k3s-airgap-images-amd64.tar.gz").rename(device.state / "k3s-airgap-images-amd64.tar.gz.new")
    assert device.loads() == ["app.tar.gz", "k3s-airgap-images-amd64.tar.gz"]
    assert device.loads() == []


def test_an_engine_that_does_not_answer_is_named(tmp_path: Path, shell: list[str]) -> None:
    device = Device(tmp_path, shell, standin(tmp_path))
    save(device.source / "app.tar", [APP, PAUSE])
    device.build()
    down = Path(device.environment["DOCKER_STANDIN"]) / "down"
    down.touch()
    done = device.boot()
    assert done.returncode == 1
    assert "<3>expected Docker to answer: see systemctl status docker" in done.stderr
    down.unlink()
    assert device.loads() == ["app.tar.gz"]


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_archive_may_be_compressed(tmp_path: Path, suffix: str) -> None:
    if not shutil.which(COMPRESSORS[suffix][0]):
        pytest.skip(f"{COMPRESSORS[suffix][0]}, of Debian's package of that name or xz-utils")
    device = Device(tmp_path, ["sh"], standin(tmp_path))
    save(device.source / f"one.tar{suffix}", [PAUSE])
    assert device.build() == []
    index = (device.archives / "index").read_text().split()
    assert index[0] == "one.tar.gz" and index[2:] == [PAUSE]
    checksum = subprocess.run(["sha256sum", device.archives / "one.tar.gz"], capture_output=True, text=True, check=True)
    assert index[1] == checksum.stdout.split()[0]
    assert sorted(path.name for path in device.archives.iterdir()) == ["index", "one.tar.gz"]
    assert device.loads() == ["one.tar.gz"]


@pytest.mark.parametrize("arches", [("amd64",), ("arm64", "amd64")], ids=["one", "several"])
@pytest.mark.parametrize(("suffix", "compression"), [(".tar", ".gz"), (".tar.gz", ".zst")])
@pytest.mark.parametrize("annotation", ["io.containerd.image.name", "org.opencontainers.image.ref.name"])
def test_an_oci_archive_is_loaded(
    tmp_path: Path, engine: dict[str, str], suffix: str, compression: str, arches: tuple[str, ...], annotation: str
) -> None:
    device = Device(tmp_path, ["sh"], engine)
    archive = device.source / f"app{suffix}"
    save_oci(archive, [APP, PAUSE], arches=arches, compression=compression, annotation=annotation)
    assert device.build() == []
    assert device.loads() == ["app.tar.gz"]
    assert device.has(APP) and device.has(PAUSE)
    assert device.loads() == []


@pytest.mark.parametrize("write", [save, save_oci])
def test_an_archive_that_was_packed_again_is_loaded(
    tmp_path: Path, engine: dict[str, str], write: Callable[[Path, list[str]], Path]
) -> None:
    device = Device(tmp_path, ["sh"], engine)
    retar(write(device.source / "app.tar", [APP, PAUSE]))
    shutil.rmtree(device.source / "app.unpacked")
    assert device.build() == []
    assert device.loads() == ["app.tar.gz"]
    assert device.has(APP)


def test_the_same_directory_makes_the_same_files(tmp_path: Path) -> None:
    made: list[dict[str, bytes]] = []
    for name in ("one", "two"):
        save(tmp_path / name / "a.tar", [PAUSE])
        save(tmp_path / name / "b.tar.zst", [APP])
        os.utime(tmp_path / name / "a.tar", (len(made), len(made)))
        output = tmp_path / f"made-{name}"
        output.mkdir()
        image_archives.preload(tmp_path / name, output, "amd64")
        made.append({path.name: path.read_bytes() for path in output.iterdir()})
    assert made[0] == made[1]


def refusal(directory: Path, arch: str = "amd64") -> str:
    output = directory.parent / "refused"
    output.mkdir()
    with pytest.raises(image_archives.ArchiveError) as caught:
        image_archives.preload(directory, output, arch)
    assert not (output / "index").exists()
    return str(caught.value)


def test_images_of_another_architecture_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "in" / "ours.tar", [PAUSE], arch="arm64")
    save(tmp_path / "in" / "theirs.tar.gz", [APP, "x"], arch="amd64")
    assert refusal(tmp_path / "in", "arm64") == f"theirs.tar.gz: expected images for arm64, found {APP} for amd64"


def test_an_oci_archive_for_another_architecture_is_refused(tmp_path: Path) -> None:
    save_oci(tmp_path / "in" / "theirs.tar", [APP], arches=["amd64"])
    assert refusal(tmp_path / "in", "arm64") == f"theirs.tar: expected images for arm64, found {APP} for amd64"
    save_oci(tmp_path / "in" / "theirs.tar", [APP], arches=["amd64", "riscv64"])
    (tmp_path / "refused").rmdir()
    assert refusal(tmp_path / "in", "arm64") == "theirs.tar: expected images for arm64, found none in its index.json"


def test_an_oci_archive_that_names_no_image_is_refused(tmp_path: Path) -> None:
    save_oci(tmp_path / "in" / "x.tar", ["1.0"], annotation="org.opencontainers.image.ref.name")
    assert refusal(tmp_path / "in").startswith("x.tar: expected the name of each image in index.json")


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "in" / "app.tar", [APP, PAUSE])
    (tmp_path / "in" / "lost.tar").symlink_to("/nowhere/lost.tar")
    assert refusal(tmp_path / "in") == "lost.tar: expected a file, found a link to /nowhere/lost.tar, where nothing is"


def test_an_image_that_is_pulled_all_the_same_is_warned_of(tmp_path: Path) -> None:
    """Kubernetes pulls an image of the tag latest each time, unless the pod says otherwise."""
    device = Device(tmp_path, ["sh"], standin(tmp_path))
    save(device.source / "app.tar", ["registry.example/app:latest", PAUSE])
    (warning,) = device.build()
    assert warning.startswith("app.tar: registry.example/app:latest is pulled all the same")
    assert "imagePullPolicy: IfNotPresent" in warning


def test_a_directory_without_archives_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing").startswith("expected a directory")


@pytest.mark.parametrize(("files", "found"), [([], "found none"), (["readme.txt", ".hidden.tar"], "only readme.txt")])
def test_an_empty_directory_is_refused(tmp_path: Path, files: list[str], found: str) -> None:
    (tmp_path / "in").mkdir()
    for name in files:
        (tmp_path / "in" / name).touch()
    assert found in refusal(tmp_path / "in")


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("part", [0, 0.3, 0.95])
def test_a_half_archive_is_refused(tmp_path: Path, suffix: str, part: float) -> None:
    archive = save(tmp_path / "in" / f"half.tar{suffix}", [PAUSE, APP])
    whole = archive.read_bytes()
    # A tar archive ends with blocks that say nothing; the last one of content counts.
    length = len(whole) if suffix else len(whole.rstrip(b"\0"))
    archive.write_bytes(whole[: int(length * part)])
    assert refusal(tmp_path / "in").startswith(f"half.tar{suffix}: expected ")


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    subprocess.run(["tar", "-cf", tmp_path / "in" / "x.tar", "-C", "/etc", "passwd"], check=True)
    assert refusal(tmp_path / "in") == (
        "x.tar: expected what docker save writes, found a tar archive without manifest.json"
    )


@pytest.mark.parametrize(
    "manifest", ["", "{}", "[]", "[{}]", '[{"Config": "config.json", "RepoTags": null}]', "[1]", "no"]
)
def test_odd_metadata_is_refused(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "manifest.json").write_text(manifest)
    (tmp_path / "config.json").write_text('{"architecture": "amd64"}')
    names = ["manifest.json", "config.json"]
    subprocess.run(["tar", "-cf", tmp_path / "in" / "x.tar", "-C", tmp_path, *names], check=True)
    assert refusal(tmp_path / "in").startswith("x.tar: expected what docker save writes")


def test_an_archive_without_a_layer_is_refused(tmp_path: Path) -> None:
    archive = save(tmp_path / "in" / "x.tar", [PAUSE])
    subprocess.run(["tar", "--delete", "-f", archive, "0/layer.tar"], check=True)
    assert refusal(tmp_path / "in") == f"x.tar: expected all layers of {[PAUSE]}, found none of ['0/layer.tar']"


def test_two_archives_that_would_become_one_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "in" / "x.tar", [PAUSE])
    save(tmp_path / "in" / "x.tar.gz", [APP])
    assert "expected one archive of this name" in refusal(tmp_path / "in")


def test_images_that_leave_a_node_without_a_network_empty_are_warned_of(tmp_path: Path) -> None:
    device = Device(tmp_path, ["sh"], standin(tmp_path))
    save(device.source / "app.tar", [APP])
    (device.source / "sha256sum-amd64.txt").touch()
    ignored, pause = device.build()
    assert ignored == "sha256sum-amd64.txt: not preloaded, its name is no archive's"
    assert "rancher/mirrored-pause" in pause
    save(device.source / "pause.tar", [f"docker.io/{PAUSE}"])
    assert device.build() == [ignored]
