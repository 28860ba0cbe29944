# SPDX-License-Identifier: MIT
"""Folders of work belong to the process that made them, in whatever PID namespace, and go when it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wr_nvidia_k8s.common import scratch
from wr_nvidia_k8s.common.errors import HostError, UserError
from wr_nvidia_k8s.common.paths import TOP

HOLDER = """
import os, sys
from pathlib import Path
from wr_nvidia_k8s.common import scratch
with scratch.owned(Path(sys.argv[1]), "work-") as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


def holder(parent: Path, *wrapper: str) -> tuple[subprocess.Popen[str], Path]:
    """A process that has made a folder, and the folder."""
    process = subprocess.Popen(
        [*wrapper, sys.executable, "-c", HOLDER, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(TOP / "scripts")},
    )  # fmt: skip
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_a_folder_goes_with_the_work(tmp_path: Path) -> None:
    with scratch.owned(tmp_path / "new", "work-") as folder:
        assert folder.is_dir()
    assert not folder.exists()


def test_a_user_error_may_name_a_log_in_it(tmp_path: Path) -> None:
    with pytest.raises(UserError), scratch.owned(tmp_path, "work-") as first:
        raise UserError(f"the log is in {first}")
    assert first.is_dir()
    with scratch.owned(tmp_path, "work-"):
        assert not first.exists(), "expected it to be removed as soon as another one is made"


def test_interrupted_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch.owned(tmp_path, "work-") as folder:
        raise KeyboardInterrupt
    assert not folder.exists()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    process, folder = holder(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert folder.is_dir()
    (tmp_path / str(os.getpid())).mkdir()  # as one with this process's number would be
    with scratch.owned(tmp_path, "work-") as mine:
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == [mine]


def test_the_work_of_another_pid_namespace_stays(tmp_path: Path) -> None:
    """There its number is 1 or so, which says nothing here, and none of ours is seen there."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("the right to make a PID namespace: run this as root")
    others = [holder(tmp_path, *unshare) for _ in range(2)]
    with scratch.owned(tmp_path, "work-") as mine:
        folders = {mine, *(folder for _, folder in others)}
        assert {path for path in tmp_path.iterdir() if path.is_dir()} == folders
    for process, _ in others:
        process.communicate("")
        assert process.returncode == 0


@pytest.mark.parametrize(("place", "message"), [
    ("missing", "expected a writable folder, found {}: No such file or directory"),
    ("file", "expected a writable folder, found {}: Not a directory"),
    ("x" * 100, "expected a path of at most 39 bytes"),
    ("/proc", "expected "),
])  # fmt: skip
def test_a_tmpdir_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    monkeypatch.setenv("TMPDIR", place)
    with pytest.raises(HostError) as caught, scratch.temporary("work-", 68):
        pass
    assert message.format(place) in str(caught.value)
    assert "TMPDIR" in str(caught.value)
