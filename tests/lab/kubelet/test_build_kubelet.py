# SPDX-License-Identifier: MIT
"""scripts/build-kubelet as a user runs it. What it builds is tested by running it: test_real_kubelet.py."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.lab.kubelet import build

COMMAND = TOP / "scripts/build-kubelet"


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


def apt_config(folder: Path, sources: str) -> str:
    """An apt configuration with these sources and nothing of this machine's."""
    (folder / "lists").mkdir()
    (folder / "sources.list").write_text(sources)
    config = folder / "apt.conf"
    config.write_text(
        f'Dir::Etc::SourceList "{folder}/sources.list";\n'
        'Dir::Etc::SourceParts "/dev/null";\n'
        f'Dir::State::Lists "{folder}/lists";\n'
    )
    return str(config)


def archive(folder: Path, label: str) -> None:
    """An apt archive of one package, without a signature."""
    architecture = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True)
    packages = f"main/binary-{architecture.stdout.strip()}/Packages"
    release = folder / "dists/bookworm/Release"
    (release.parent / packages).parent.mkdir(parents=True)
    content = "Package: some\nVersion: 1\nArchitecture: all\nFilename: some.deb\nSize: 1\nDescription: none\n"
    (release.parent / packages).write_text(content)
    release.write_text(
        f"Label: {label}\nCodename: bookworm\nArchitectures: {architecture.stdout}Components: main\n"
        f"SHA256:\n {hashlib.sha256(content.encode()).hexdigest()} {len(content)} {packages}\n"
    )


def built() -> None:
    missing = build.missing()
    if missing:
        pytest.skip(f"a real kubelet ({', '.join(missing)}): run scripts/build-kubelet")


def test_second_run_does_nothing() -> None:
    built()
    kubelet = build.folder() / "kubelet"
    before = kubelet.stat()
    done = run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert kubelet.stat().st_ino == before.st_ino


def test_output_is_a_kubelet_that_knows_its_version(tmp_path: Path) -> None:
    built()
    output = tmp_path / "new" / "folder" / "my-kubelet"
    assert run("--output", str(output)).returncode == 0
    version = subprocess.run([output, "--version"], check=True, capture_output=True, text=True).stdout
    assert version == "Kubernetes v1.20.2\n"
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ("", "expected Debian's main archive among this machine's apt sources, found none"),
        ("deb [trusted=yes] file:{tmp}/other bookworm main\n", "found file:{tmp}/other/"),
        ("deb file:{tmp}/nowhere bookworm main\n", "file:{tmp}/nowhere bookworm Release"),
        # Not even if this machine's apt is told to trust it.
        ("deb [trusted=yes] file:{tmp}/debian bookworm main\n", "file:{tmp}/debian bookworm Release' is not signed"),
    ],
    ids=["no sources", "other sources", "mirror that is not there", "mirror without signature"],
)
def test_no_archive_to_trust_no_kubelet(tmp_path: Path, sources: str, message: str) -> None:
    archive(tmp_path / "debian", "Debian")
    archive(tmp_path / "other", "Other")
    cache = tmp_path / "cache"
    (cache / "wr-nvidia-k8s/kubelet-build-killed/gopath").mkdir(parents=True)
    config = apt_config(tmp_path, sources.format(tmp=tmp_path))
    done = run(XDG_CACHE_HOME=str(cache), APT_CONFIG=config)
    assert done.returncode == 69, done.stderr
    assert message.format(tmp=tmp_path) in done.stderr
    left = [path for path in (cache / "wr-nvidia-k8s").iterdir() if path.name != "kubelet.lock"]
    assert left == []


def test_unknown_option_is_refused() -> None:
    done = run("--outptu", "x")
    assert done.returncode == 2
    assert "--outptu" in done.stderr
