# SPDX-License-Identifier: MIT
"""The ordinary user that BitBake runs as: what it sees, and that nothing of it stays behind."""

import os
import subprocess
from pathlib import Path

import pytest

from wr_nvidia_k8s.build.build_user import NAME, BuildUser

root = pytest.mark.skipif(os.geteuid() != 0, reason="being root: an ordinary user runs the command as it is")


@root
def test_closed_folders_are_reached_and_the_rest_is_out_of_sight(tmp_path: Path) -> None:
    for name in ("closed/read", "closed/write", "closed/secret"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    user = BuildUser(read_only=[tmp_path / "closed/read"], writable=[tmp_path / "closed/write"])
    done = user.run(
        ["bash", "-c", "id -un; ls ..; touch made; touch ../read/made"],
        cwd=tmp_path / "closed/write", capture_output=True,
    )  # fmt: skip
    assert done.stdout.split() == [NAME, "read", "write"]
    assert "Read-only file system" in done.stderr
    assert done.returncode != 0, "the status is the command's"
    assert (tmp_path / "closed/write/made").exists()
    assert not (tmp_path / "closed/read/made").exists()


@root
def test_killed_it_leaves_nothing_running(tmp_path: Path) -> None:
    user = BuildUser(writable=[tmp_path / "state"])
    command, own = user.command(["bash", "-c", "setsid sleep inf & echo started; sleep inf"], tmp_path / "state")
    environment = {**user.environment(), **own}
    with subprocess.Popen(command, env=environment, cwd="/", stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "started\n"
        process.kill()
        # Each process has this pipe open, so it ends with the last of them.
        assert process.communicate(timeout=30)[0] == ""
