# SPDX-License-Identifier: MIT
"""What runs in a room is seen nowhere else, and goes with its owner."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.lab.room.room import Room, RoomError, unavailable

SCRIPTS = TOP / "scripts"
CGROUPS = Path("/sys/fs/cgroup")
SECONDS = 30

# Owns a room with a daemon that has a child and a cgroup of its own, says so, and waits.
OWNER = """
import sys
from wr_nvidia_k8s.lab.room.room import Room
room = Room("wr-room-test", files={}, own={}, hide=["/run"], show={})
script = "mkdir /sys/fs/cgroup/{memory/,}made-inside 2>/dev/null; sleep 3600 & echo started; wait"
room.start(["bash", "-c", script], room.scratch / "log")
while "started" not in (room.scratch / "log").read_text():
    pass
try:
    print(room.scratch, flush=True)
    sys.stdin.read()
except KeyboardInterrupt:
    print(room.run(["echo", "still", "there"]), flush=True)
"""


@pytest.fixture(autouse=True)
def privileged() -> None:
    reason = unavailable()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room("wr-room-test", files={"shown/file": "text"}, own={}, hide=["/run"], show={"/var/log": "shown"})
    yield room
    room.close()


def traces(scratch: Path) -> list[str]:
    """What of a room can be found on the machine."""
    found = [str(scratch)] if scratch.exists() else []
    # Not Path.glob(), which fails when a folder vanishes under it.
    found += [folder for folder, _, _ in os.walk(CGROUPS) if Path(folder).name == scratch.name]
    found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if scratch.name in line]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            cgroup, command = (process / "cgroup").read_text(), (process / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if scratch.name in cgroup + command:
            found.append(f"{process.name}: {command}")
    return found


def wait(condition: Callable[[], bool], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def test_room_shows_its_own_files_processes_and_network(room: Room) -> None:
    assert room.run(["cat", "/var/log/file"]) == "text"
    assert "\ttext" not in Path("/proc/self/mounts").read_text()
    assert not Path("/var/log/file").exists()
    room.run(["touch", "/run/made-inside"])
    assert not Path("/run/made-inside").exists()
    assert room.run(["sh", "-c", "echo /proc/[0-9]*"]).split()[0] == "/proc/1"
    assert room.run(["cat", "/proc/1/comm"]) == "cat\n"
    assert room.run(["readlink", "/proc/self/ns/net"]).strip() != str(Path("/proc/self/ns/net").readlink())
    # A hierarchy that the machine has nowhere mounted, such as one that a systemd in a namespace left, is no room's.
    options = [line.split()[3].split(",") for line in Path("/proc/self/mounts").read_text().splitlines()]
    lines = room.run(["cat", "/proc/self/cgroup"]).splitlines()
    places = {
        place
        for _, controllers, place in (line.split(":", 2) for line in lines)
        if not controllers or any(set(controllers.split(",")) <= set(each) for each in options)
    }
    assert places == {"/room"}


def test_failed_command_tells_why(room: Room) -> None:
    with pytest.raises(RoomError, match="No such file or directory"):
        room.run(["cat", "/nowhere"])


def test_ended_daemon_tells_why(room: Room) -> None:
    daemon = room.start(["sh", "-c", "echo my last words; exit 3"], room.scratch / "log")

    def has_ended() -> bool:
        try:
            daemon.check()
        except RoomError as error:
            assert "status 3" in str(error)
            assert "my last words" in str(error)
            return True
        return False

    wait(has_ended, lambda: "expected the daemon to have ended")


def test_stubborn_daemon_is_stopped(room: Room) -> None:
    daemon = room.start(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], room.scratch / "log")
    wait(lambda: "ready" in daemon.log(), daemon.log)
    daemon.stop(deadline=0.5)
    with pytest.raises(RoomError, match="ended"):
        daemon.check()


def test_mount_that_fails_is_told_and_leaves_nothing() -> None:
    with pytest.raises(RoomError, match="/no/such/place does not exist") as caught:
        Room("wr-room-test", files={}, own={"inside": Path("/no/such/place")}, hide=[], show={})
    named = re.search(r"\S+/wr-room-test-\w+", str(caught.value))
    assert named is not None
    scratch = Path(named[0])
    assert traces(scratch) == []


@pytest.mark.parametrize("how", ["end", "SIGKILL", "interrupt at the terminal", "keeper is told to end"])
def test_nothing_is_left_when_the_owner_ends(how: str) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )
    with owner:
        assert owner.stdout is not None
        scratch = Path(owner.stdout.readline().strip())
        assert scratch.is_dir()
        assert len(traces(scratch)) > 3  # or this would look for the wrong things
        if how == "end":
            owner.communicate("")
        elif how == "SIGKILL":
            owner.kill()
        elif how == "keeper is told to end":
            [keeper] = Path(f"/proc/{owner.pid}/task/{owner.pid}/children").read_text().split()[:1]
            os.kill(int(keeper), signal.SIGTERM)
            owner.communicate("")
        else:
            os.killpg(owner.pid, signal.SIGINT)  # it goes to every process of the terminal's foreground group
            assert owner.stdout.readline() == "still there\n"  # so that the owner can come to an orderly end
    wait(lambda: traces(scratch) == [], lambda: traces(scratch))
