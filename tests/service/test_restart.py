# SPDX-License-Identifier: MIT
"""The unit under a real systemd: a plugin that ended, failed or hangs is started again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from k3s.systemd_room import PLAIN, Room

FILES = Path(__file__).resolve().parents[2] / "recipes-containers/nvidia-device-plugin/files"
UNIT = FILES / "nvidia-device-plugin.service"
READY = """\
import os, signal, socket
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
"""
FATES = {"ends": "", "fails": "raise SystemExit(1)", "hangs": "signal.pause()"}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    yield room
    room.end()


@pytest.mark.parametrize("fate", FATES)
def test_the_plugin_is_started_again(room: Room, fate: str) -> None:
    """The program is a stand-in that says READY=1, and then meets its fate; nothing of the unit but it is changed."""
    program = room.folder / "program.py"
    program.write_text(READY + FATES[fate])
    room.oneshot("package", "package", command=f"cp {program} /run/program.py")  # the sandbox hides a test's folder
    room.write(UNIT.name, UNIT.read_text().replace("[Unit]\n", f"{PLAIN}After=package.service\n"))
    room.write(f"{UNIT.name}.d/stand-in.conf", "[Service]\nExecStart=\nExecStart=/usr/bin/python3 /run/program.py\n"
               f"ExecStartPost=+/bin/sh -c 'echo started >{room.folder}/events'\n")
    room.boot("package.service", UNIT.name)
    room.until("started")
    room.until("started")
