# SPDX-License-Identifier: MIT
"""scripts/boot-test, which boots a virtual machine with the package in it, as a board is switched on."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from wr_nvidia_k8s.common.paths import TOP

UNIT = "recipes-containers/nvidia-device-plugin/files/nvidia-device-plugin.service"


def boot_test(top: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    result = subprocess.run([str(top / "scripts/boot-test"), *arguments], capture_output=True, text=True)
    if result.returncode == 69:
        pytest.skip(f"Debian packages for a virtual machine: {result.stderr}")
    return result


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_the_service_comes_up_by_itself_and_stays_up(
        arch: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    if arch == "arm64" and not os.environ.get("WR_NVIDIA_K8S_BOOT_ARM64"):
        pytest.skip("an emulated arm64 machine, which takes minutes: set WR_NVIDIA_K8S_BOOT_ARM64=1, or run "
                    "scripts/boot-test --arch arm64")
    result = boot_test(TOP, "--arch", arch, "--json", "--logs", str(tmp_path))
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    record_property(f"boot, {report['accelerator']}, {report['kubelet']} kubelet", report["figures"])
    taken = " ".join(entry["step"] for entry in report["steps"])
    for event in ("boot:", "kill -9:", "the kubelet restarts:", "reboot:", "read-only:", "60 s later", "no error"):
        assert event in taken
    assert "Registered device plugin for 'nvidia.com/gpu'" in (tmp_path / "read_only.journal").read_text()


def test_a_step_that_fails_is_named_with_its_reason_and_the_journal(tmp_path: Path) -> None:
    top = tmp_path / "checkout"
    shutil.copytree(TOP, top, symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__", ".*_cache"))
    unit = (top / UNIT).read_text()
    (top / UNIT).write_text(unit.replace("ExecStart=", "ExecStart=/bin/false "))
    result = boot_test(top, "--arch", "amd64", "--kubelet", "standin")
    assert result.returncode == 1
    assert "FAILED at: boot: the service is active" in result.stderr
    assert "nvidia-device-plugin.service: Main process exited, code=exited, status=1/FAILURE" in result.stderr
    others = [line for line in result.stderr.splitlines() if " systemd[1] <6>: " in line and "nvidia" not in line]
    assert others, "expected the journal of the whole machine"
