# SPDX-License-Identifier: MIT
"""The plugin, frozen for arm64 on this machine, does its job in a root that holds the C library and nothing else."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pyinstaller_cross import elf
from pyinstaller_cross.config import C_LIBRARY
from wr_nvidia_k8s.freeze import parts
from wr_nvidia_k8s.freeze.parts import ARCHES
from wr_nvidia_k8s.lab.kubelet.standin import KubeletStandin
from wr_nvidia_k8s.lab.plugin import jetson

TOP = Path(__file__).resolve().parents[2]
ROOM = Path(__file__).with_name("room.sh")
BINFMT = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
ARM64 = ARCHES["arm64"]
PROGRAM = "/opt/nvidia-device-plugin/nvidia-device-plugin"
GPU = "nvidia.com/gpu"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the frozen plugin and the libraries that every target has, as the verifier has it."""
    if not BINFMT.exists():
        pytest.skip(f"{BINFMT}: apt-get install qemu-user-static")
    root = tmp_path_factory.mktemp("root")
    frozen = tmp_path_factory.mktemp("frozen")
    command = [str(TOP / "scripts/freeze"), "--arch", "arm64", "--output", str(frozen), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE)
    if done.returncode == 69:
        pytest.skip("Debian packages for freezing: scripts/freeze names them")
    assert done.returncode == 0
    summary = json.loads(done.stdout)
    assert summary["arch"] == "arm64"
    assert summary["program"] == str(frozen / "nvidia-device-plugin/nvidia-device-plugin")
    shutil.copytree(frozen, root / "opt", symlinks=True)
    libraries = parts.sysroot(ARM64) / "usr/lib" / ARM64.triplet
    (root / "lib").mkdir()
    for path in libraries.iterdir():
        if any(re.fullmatch(pattern, path.name) for pattern in C_LIBRARY):
            shutil.copy(path, root / "lib")
    assert len(list((root / "lib").iterdir())) < 20
    probe = subprocess.run([ROOM, root, frozen, BINFMT, PROGRAM, "--version"], capture_output=True, text=True)
    if "binfmt_misc" in probe.stderr or "unshare" in probe.stderr:
        pytest.skip(f"binfmt_misc in a user namespace (Linux 6.7 or later): {probe.stderr.strip()}")
    assert probe.stdout.startswith("nvidia-device-plugin "), probe.stderr
    return root


def test_it_is_an_arm64_program_and_so_is_all_that_is_with_it(root: Path) -> None:
    files = [file for path in (root / "opt").rglob("*") if not path.is_symlink() and (file := elf.read(path))]
    assert len(files) > 10
    assert {file.abi for file in files} == {elf.abi_of_machine("aarch64")}


async def test_it_registers_lists_and_allocates_through_a_kubelet_restart(root: Path, scratch: Path) -> None:
    kubelet = KubeletStandin(scratch / "kubelet")
    await kubelet.start()
    command = [str(ROOM), str(root), str(scratch), str(BINFMT), PROGRAM]
    environ = {"PATH": os.environ["PATH"]}
    async with jetson(scratch, "--pass-device-specs", command=command, environ=environ) as plugin:
        await plugin.wait_notified("STATUS=registered 1 nvidia.com/gpu")
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
        allocation = await kubelet.admit("pod", GPU)
        assert allocation.envs["NVIDIA_VISIBLE_DEVICES"] == "0"
        assert allocation.devices
        await kubelet.restart()
        await kubelet.wait_for(lambda: kubelet.capacity(GPU) == 1)
    await kubelet.stop()
