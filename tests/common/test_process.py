# SPDX-License-Identifier: MIT
"""What a command starts ends with it, however it is ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wr_nvidia_k8s.build.kas import LAYERS
from wr_nvidia_k8s.common import process
from wr_nvidia_k8s.common.errors import CommandError
from wr_nvidia_k8s.common.paths import TOP

# As BitBake starts its server (bitbake/lib/bb/daemonize.py): in a session of its own, its parent gone.
DAEMON = "setsid sh -c 'echo $$; exec sleep inf' & wait"
OWNER = """
import sys
from wr_nvidia_k8s.common.process import supervised
with supervised(sys.argv[1:]) as process:
    process.wait()
"""
# The least that BitBake takes for a configuration, with a task that does not end.
SMALLEST = {
    "conf/bblayers.conf": 'BBPATH = "TOP"\nBBLAYERS = "TOP"\n',
    "conf/layer.conf": 'BBFILES += "TOP/*.bb"\nBBFILE_COLLECTIONS += "smallest"\nBBFILE_PATTERN_smallest = "^TOP/"\n',
    "conf/bitbake.conf": """
        TMPDIR = "TOP/tmp"
        CACHE = "${TMPDIR}/cache"
        PN = "task"
        STAMP = "${TMPDIR}/stamp"
        T = "${TMPDIR}/work"
        B = "${TMPDIR}/work"
    """.replace("    ", ""),
    "classes/base.bbclass": "addtask build\n",
    "task_1.bb": "python do_build() {\n    import signal\n    bb.plain('started')\n    signal.pause()\n}\n",
}
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TOP / "scripts")}


def all_of_it(owner: subprocess.Popen[str]) -> str:
    """What is still said; each process has the pipe open, so this returns when the last of them has ended."""
    return owner.communicate(timeout=60)[0]


def test_a_daemon_ends_with_the_context() -> None:
    with process.supervised(["sh", "-c", "setsid sleep inf & exit 3"], stdout=subprocess.PIPE) as started:
        assert started.communicate(timeout=60)[0] == ""
    assert started.returncode == 3, "the status is the command's"


def test_a_context_that_is_left_early_ends_the_daemon() -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        process.supervised(["sh", "-c", DAEMON], stdout=subprocess.PIPE) as started,
    ):
        assert started.stdout
        daemon = int(started.stdout.readline())
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(daemon, 0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_daemon_ends_with_its_owner(number: signal.Signals) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, "sh", "-c", DAEMON], env=ENVIRONMENT, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    assert owner.stdout and owner.stdout.readline()
    owner.send_signal(number)
    assert all_of_it(owner) == ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_bitbakes_server_ends_with_the_owner_without_any_privilege(tmp_path: Path, number: signal.Signals) -> None:
    """A real BitBake in the midst of a task, with its server, on the smallest configuration that it takes."""
    bitbake = LAYERS / "bitbake"
    if not bitbake.exists():
        pytest.skip(f"the layer tree bitbake: lay it out in {LAYERS}")
    for name, text in SMALLEST.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("TOP", str(tmp_path)))
    environment = {**ENVIRONMENT, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    owner = subprocess.Popen([sys.executable, "-c", OWNER, bitbake / "bin/bitbake", "task"], cwd=tmp_path, text=True,
                             env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    try:
        assert owner.stdout and "started\n" in iter(owner.stdout.readline, "")
        assert running(tmp_path)
        owner.send_signal(number)
        all_of_it(owner)
        assert running(tmp_path) == []
    finally:
        for pid in running(tmp_path):
            os.kill(pid, signal.SIGKILL)


def running(folder: Path) -> list[int]:
    """The processes that work in or below ``folder``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
    return found


def test_a_command_that_fails_says_what_was_done_and_what_it_said() -> None:
    with pytest.raises(CommandError, match=r"(?s)baking failed.*exit status 3:\nno flour.*buy some"):
        process.run(["sh", "-c", "echo no flour >&2; exit 3"], what="baking", advice="buy some")
    with pytest.raises(CommandError, match="expected the command no-such-command, found none; install"):
        process.run(["no-such-command"])
    assert process.run(["cat"], input="text") == "text"


def test_interrupted_it_takes_the_commands_children_with_it() -> None:
    read, write = os.pipe()
    script = f"sleep inf & echo here >&{write}; wait"
    program = f"from wr_nvidia_k8s.common import process; process.run(['bash', '-c', {script!r}], pass_fds=[{write}])"
    owner = subprocess.Popen([sys.executable, "-c", program], env=ENVIRONMENT, pass_fds=[write], text=True,
                             stderr=subprocess.DEVNULL)  # fmt: skip
    os.close(write)
    with os.fdopen(read) as stream:
        assert stream.readline() == "here\n"
        owner.send_signal(signal.SIGINT)
        owner.wait(60)
        assert stream.read() == "", "expected the child to have ended, which has the pipe open"


# A test that has a daemon and waits, and a fixture that cleans up.
TESTS = """
import signal, subprocess
from pathlib import Path
import pytest

@pytest.fixture
def place():
    yield
    Path("clean").touch()

def test_waits(place, capfd):
    with capfd.disabled():
        subprocess.Popen(["sh", "-c", {daemon!r}])
    signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_the_tests_started_ends_with_scripts_test(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "test_daemon.py").write_text(TESTS.format(daemon=DAEMON))
    command = [sys.executable, "-m", "wr_nvidia_k8s.commands.run_tests", "-q", "-p", "no:cacheprovider"]
    owner = subprocess.Popen([*command, "test_daemon.py"], cwd=tmp_path, env=ENVIRONMENT, text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    assert owner.stdout
    assert any(line.strip().isdigit() for line in iter(owner.stdout.readline, "")), "the daemon says that it is there"
    owner.send_signal(number)
    assert "KeyboardInterrupt" in all_of_it(owner)
    assert owner.returncode == 128 + number
    assert (tmp_path / "clean").exists()
