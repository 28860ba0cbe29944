# SPDX-License-Identifier: MIT
"""The plugin on the versions that each target release ships, installed from its source as pip does it.

Each release has a virtual environment in the cache, made once per set of versions. A release is skipped by
name where this machine has no such Python.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import SOURCE, jetson

GPU = "nvidia.com/gpu"

# setuptools is LTS22's because its project metadata support decides what plugin-src may use.
RELEASES = {
    "LTS22": ("3.10", ["grpcio==1.45.0", "protobuf==3.20.3", "asyncinotify==2.0.2", "PyYAML==6.0.1", "sdnotify==0.3.2",
                       "nvidia-ml-py"],
              ["grpcio-tools==1.45.0", "setuptools==59.5.0", "wheel"]),
    "LTS24": ("3.12", ["grpcio==1.62.2", "protobuf==4.25.3", "asyncinotify==4.0.6", "PyYAML==6.0.1", "sdnotify==0.3.2",
                       "nvidia-ml-py"],
              ["grpcio-tools==1.62.2", "setuptools==69.1.1", "wheel"]),
}


def interpreter(version: str) -> str:
    """A Python of that version: on PATH, or one that pyenv has installed."""
    found = shutil.which(f"python{version}", path=os.environ["PATH"] + ":/usr/bin")
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in [*filter(None, [found]), *map(str, sorted(versions.glob(f"{version}.*/bin/python{version}")))]:
        if subprocess.run([candidate, "--version"], capture_output=True).returncode == 0:
            return candidate
    pytest.skip(f"Python {version}: install it, for instance with pyenv")


def environment(version: str, needs: list[str], builds_with: list[str]) -> Path:
    """A virtual environment with the plugin installed; grpcio-tools only builds it, in another one."""
    python = interpreter(version)
    key = hashlib.sha256(repr((python, needs, builds_with)).encode()).hexdigest()[:16]
    base = cache.root() / "releases" / key
    with cache.alone(base.parent / ".lock", "run of the tests that makes a virtual environment"):
        for name, requirements in (("run", needs), ("build", builds_with)):
            if not (base / name / ".complete").exists():
                shutil.rmtree(base / name, ignore_errors=True)
                subprocess.run([python, "-m", "venv", base / name], check=True)
                pip = [str(base / name / "bin/pip"), "install", "-q", "--disable-pip-version-check"]
                subprocess.run([*pip, *requirements], check=True)
                (base / name / ".complete").touch()
    return base


def install(base: Path, scratch: Path) -> None:
    """Build the plugin's wheel and unpack it into scratch/installed."""
    source = scratch / "source"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("*_pb2.py*", "__pycache__", "build", "*.egg-info"))
    subprocess.run([base / "build/bin/pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", scratch, source],
                   check=True)
    subprocess.run([base / "run/bin/pip", "install", "-q", "--no-deps", "--target", scratch / "installed",
                    *scratch.glob("*.whl")], check=True)


@pytest.mark.parametrize("release", sorted(RELEASES))
async def test_the_plugin_works_on_a_releases_versions(release: str, scratch: Path, kubelet: KubeletStandin) -> None:
    base = environment(*RELEASES[release])
    install(base, scratch)
    async with jetson(scratch, command=[str(base / "run/bin/python"), "-m", "nvidia_device_plugin"],
                      environ={"PYTHONPATH": str(scratch / "installed"), "PYTHONWARNINGS": ""}) as plugin:
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert (await kubelet.admit("pod", GPU)).envs["NVIDIA_VISIBLE_DEVICES"] == "0"
        kubelet.remove("pod")
        await kubelet.restart()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        assert plugin.process.returncode is None
