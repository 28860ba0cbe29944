# SPDX-License-Identifier: MIT
"""What README tells a newcomer to install and to type before anything is built."""

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.common.paths import TOP

README = (TOP / "README.md").read_text()
BLOCKS = re.findall(r"(?ms)^```sh\n(.*?)^```", README)


def command(beginning: str) -> list[str]:
    """The words of README's longest command that begins so, as a shell makes them."""
    lines = [line for block in BLOCKS for line in block.splitlines() if line.startswith(beginning)]
    assert lines, f"README shows no command {beginning}"
    return shlex.split(os.path.expandvars(max(lines, key=len)), comments=True)


def test_the_packages_are_those_that_our_own_commands_install_for_bitbake() -> None:
    """One list, said twice: for who builds by hand, and for scripts/check-image."""
    listed = re.findall(r"(?m)^(\S+) +bitbake$", (TOP / "tests/debian-packages.txt").read_text())
    assert len(listed) > 5
    assert command("sudo apt-get install build-essential")[3:] == listed


def test_kas_sees_the_systems_newt() -> None:
    assert "--system-site-packages" in command("pipx install --") and "kas[tui]" in command("pipx install --")
    assert "python3-newt" in command("sudo apt-get install pipx")


@pytest.fixture
def run_arguments(tmp_path: Path) -> list[str]:
    """What README's kas-container command has Docker run; the engine stood in for by one that notes that."""
    words = command("kas-container --runtime-args")
    noted = tmp_path / "arguments"
    engine = tmp_path / "bin" / "docker"
    engine.parent.mkdir()
    engine.write_text(f"""#!/bin/sh
case $1 in
-v) echo Docker version 27 ;;
context) echo default ;;
run) printf '%s\\n' "$@" >{noted} ;;
esac
""")
    engine.chmod(0o755)
    path = f"{engine.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    # The test may be root's: kas-container then asks for its word, as README says.
    environment = {**os.environ, "PATH": path, "KAS_ALLOW_ROOT": "yes", "KAS_WORK_DIR": str(tmp_path)}
    environment.pop("KAS_CONTAINER_ENGINE", None)
    done = subprocess.run(words, cwd=TOP, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return noted.read_text().splitlines()


def test_kas_container_gets_the_variables_and_the_files_that_they_name(run_arguments: list[str]) -> None:
    image = next(index for index, word in enumerate(run_arguments) if "/kas:" in word)
    options, command_line = run_arguments[:image], run_arguments[image + 1 :]
    passed = dict(pair.split("=", 1) for flag, pair in pairwise(options) if flag == "-e")
    mounts = [pair.split(":") for flag, pair in pairwise(options) if flag == "-v"]
    ours = {name: value for name, value in passed.items() if name.startswith("WR_NVIDIA_K8S_")}
    files = command_line[-1].replace("/repo/", "").split(":")
    assert set(ours) == {"WR_NVIDIA_K8S_SERVER_URL", "WR_NVIDIA_K8S_TOKEN_FILE"}
    assert set(ours) <= set(kas.read(files)["env"])
    assert ours["WR_NVIDIA_K8S_TOKEN_FILE"] in [mount[1] for mount in mounts]
    assert command_line[0] == "build"
    assert "kas/include/agent.yml" in files
