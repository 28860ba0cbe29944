# SPDX-License-Identifier: MIT
"""scripts/quickstart, as a newcomer runs it."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files with a short name, so that sockets fit below it."""
    path = Path(tempfile.mkdtemp(prefix="q-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


def start(place: Path, top: Path = TOP, *wrapper: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*wrapper, top / "scripts/quickstart"], env={**os.environ, "TMPDIR": str(place)},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip


def quickstart(place: Path, top: Path = TOP, *wrapper: str) -> subprocess.CompletedProcess[str]:
    process = start(place, top, *wrapper)
    output, error = process.communicate(timeout=600)
    return subprocess.CompletedProcess(process.args, process.returncode, output, error)


def checkout(path: Path) -> Path:
    """A copy of this checkout, as it comes from git: nothing generated in it."""
    ignored = shutil.ignore_patterns(".git", "__pycache__", ".*_cache", "*_pb2.py*")
    shutil.copytree(TOP, path, symlinks=True, ignore=ignored)
    return path


@pytest.mark.skipif(os.geteuid() != 0, reason="being root: a checkout is made read-only by a mount")
def test_it_tells_the_whole_story_from_a_read_only_checkout_and_leaves_nothing_behind(
    place: Path, tmp_path: Path
) -> None:
    top = checkout(tmp_path / "a checkout")
    result = quickstart(place, top, "unshare", "--mount", "sh", "-c", READ_ONLY, str(top))
    if "Debian packages are missing" in result.stderr:
        pytest.skip("Debian packages for freezing: scripts/freeze names them")
    assert result.returncode == 0, result.stdout + result.stderr
    for words in ("Tegra device detected", "Registered device plugin", "nvidia.com/gpu: 1\n",
                  "runs, and its container gets {'NVIDIA_VISIBLE_DEVICES': '0'}", "refused: ",
                  "nvidia.com/gpu: 1 again", "third runs", "Every step succeeded"):
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


def test_a_step_that_fails_is_named_with_its_reason(place: Path, tmp_path: Path) -> None:
    top = checkout(tmp_path / "checkout")
    (top / "recipes-containers/nvidia-device-plugin/files/config.yaml").write_text("version: v1\nflags: {gpus: many}\n")
    result = quickstart(place, top)
    if "Debian packages are missing" in result.stderr:
        pytest.skip("Debian packages for freezing: scripts/freeze names them")
    assert result.returncode == 1
    assert "FAILED at: Start the plugin as its service does" in result.stderr
    assert "unknown key 'flags.gpus'" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("number", "step"), [
    (signal.SIGTERM, "1. Freeze"), (signal.SIGINT, "5. What the node offers"),
])  # fmt: skip
def test_interrupted_it_leaves_nothing_running_or_lying_about(place: Path, number: signal.Signals, step: str) -> None:
    process = start(place)
    assert process.stdout and process.stderr
    if not any(line.startswith(step) for line in process.stdout):
        pytest.skip(f"a quickstart that gets so far: {process.stderr.read()}")
    process.send_signal(number)
    # Each process that it started has these pipes open, so this returns with the last of them.
    _, error = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert "Traceback" not in error
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("name", "message"), [
    ("missing", "No such file or directory"), ("long" * 20, "expected a path of at most"),
])  # fmt: skip
def test_a_tmpdir_in_which_it_cannot_work_is_said_at_once(place: Path, name: str, message: str) -> None:
    result = quickstart(place / name)
    assert (result.returncode, result.stdout) == (os.EX_UNAVAILABLE, ""), "expected no step to begin"
    assert result.stderr.startswith("error: TMPDIR: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
