# SPDX-License-Identifier: MIT
"""scripts/boot-test, which boots a virtual machine with the package in it, as a board is switched on."""

import json
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def test_the_service_comes_up_by_itself_and_stays_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [str(TOP / "scripts/boot-test"), "--arch", "amd64", "--json", "--logs", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode == 69:
        pytest.skip(f"Debian packages for a virtual machine: {result.stderr}")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    with capsys.disabled():
        print(f" [{report['accelerator']}, {report['kubelet']} kubelet: {report['figures']}] ", end="")
    taken = " ".join(entry["step"] for entry in report["steps"])
    for event in ("boot:", "kill -9:", "the kubelet restarts:", "reboot:", "read-only:", "60 s later", "no error"):
        assert event in taken
    # The kept journal is that of the boot, from the service's first word on.
    assert "Registered device plugin for 'nvidia.com/gpu'" in (tmp_path / "read_only.journal").read_text()
