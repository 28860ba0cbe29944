# SPDX-License-Identifier: MIT
"""scripts/quickstart, as a newcomer runs it."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files with a short name, so that sockets fit below it."""
    path = Path(tempfile.mkdtemp(prefix="q-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


def quickstart(place: Path, top: Path = TOP) -> subprocess.CompletedProcess[str]:
    return subprocess.run([top / "scripts/quickstart"], env={**os.environ, "TMPDIR": str(place)},
                          capture_output=True, text=True, timeout=600)


def test_it_tells_the_whole_story_and_leaves_nothing_behind(place: Path) -> None:
    result = quickstart(place)
    if "Debian packages are missing" in result.stderr:
        pytest.skip("Debian packages for freezing: scripts/freeze names them")
    assert result.returncode == 0, result.stdout + result.stderr
    for words in ("Tegra device detected", "Registered device plugin", "nvidia.com/gpu: 1\n",
                  "runs, and its container gets {'NVIDIA_VISIBLE_DEVICES': '0'}", "refused: ",
                  "nvidia.com/gpu: 1 again", "third runs", "Every step did what it shows"):
        assert words in result.stdout
    assert_printed_in_order(result.stdout)
    assert list(place.iterdir()) == []


def assert_printed_in_order(output: str) -> None:
    """What the README shows of the output, where … stands for the rest of a line."""
    shown = re.search(r"^```text\n(.*?)^```", (TOP / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert shown
    lines = iter(output.splitlines())
    for line in filter(None, shown[1].splitlines()):
        pattern = ".*".join(re.escape(part) for part in line.split("…"))
        assert any(re.fullmatch(pattern, printed) for printed in lines), f"the README shows: {line}\nprinted:\n{output}"


def test_a_step_that_fails_is_named_with_its_reason(place: Path) -> None:
    top = place / "checkout"
    shutil.copytree(TOP, top, symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__", ".*_cache"))
    (top / "recipes-containers/nvidia-device-plugin/files/config.yaml").write_text("version: v1\nflags: {gpus: many}\n")
    result = quickstart(place, top)
    if "Debian packages are missing" in result.stderr:
        pytest.skip("Debian packages for freezing: scripts/freeze names them")
    assert result.returncode == 1
    assert "FAILED at: Start the plugin as its service does" in result.stderr
    assert "unknown key 'flags.gpus'" in result.stderr
    shutil.rmtree(top)
    assert list(place.iterdir()) == []
