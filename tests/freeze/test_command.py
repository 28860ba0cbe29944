# SPDX-License-Identifier: MIT
"""scripts/freeze as a user meets it, save the freezing itself (test_arm64.py, tests/plugin/test_frozen.py)."""

import os
import subprocess
from pathlib import Path

import pytest

from wr_nvidia_k8s.freeze import parts
from wr_nvidia_k8s.freeze.parts import ARCHES, PLUGIN

COMMAND = Path(__file__).resolve().parents[2] / "scripts/freeze"


@pytest.mark.parametrize(("arguments", "message"), [
    (["--arch", "mips", "--output", "/tmp/x"], "invalid choice: 'mips' (choose from 'amd64', 'arm64')"),
    (["--arch", "amd64"], "the following arguments are required: --output"),
])  # fmt: skip
def test_wrong_usage(arguments: list[str], message: str) -> None:
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_help_is_for_stdout() -> None:
    done = subprocess.run([COMMAND, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for option in ("--arch {amd64,arm64}", "--output DIR", "--refresh", "--json", "Exit status:"):
        assert option in done.stdout


def test_without_a_mirror_it_says_so_and_changes_nothing(tmp_path: Path) -> None:
    """An empty cache, and an apt that cannot reach anything."""
    settings = tmp_path / "apt.conf"
    settings.write_text('Acquire::http::Proxy "http://127.0.0.1:9";\nAcquire::https::Proxy "http://127.0.0.1:9";\n')
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "APT_CONFIG": str(settings)}
    output = tmp_path / "output"
    command = [str(COMMAND), "--arch", "amd64", "--output", str(output)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "expected a Debian mirror to be reachable" in done.stderr
    assert not output.exists()
    assert "Traceback" not in done.stderr


def test_the_plugin_is_built_from_its_sources_only(tmp_path: Path) -> None:
    names = {str(path.relative_to(PLUGIN)) for path in parts.plugin_sources()}
    assert {"setup.py", "proto/deviceplugin_v1beta1.proto", "nvidia_device_plugin/cli.py"} <= names
    assert [name for name in names if "_pb2" in name or "__pycache__" in name or name == "freeze.json"] == []


def test_a_cross_compiler_is_asked_for_where_one_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    foreign = next(arch for arch in ARCHES.values() if not arch.native)
    assert f"gcc-{foreign.triplet.replace('_', '-')}" in parts.needed_packages(foreign)
    native = next(arch for arch in ARCHES.values() if arch.native)
    assert parts.needed_packages(native) == ["python3-venv", "binutils", "gcc", "libc6-dev"]
