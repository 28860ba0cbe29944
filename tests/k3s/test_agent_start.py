# SPDX-License-Identifier: MIT
"""An agent's start, by a real systemd: its units are ours, and only what they start is a stand-in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from k3s.systemd_room import PLAIN, Room

CONFIG = Path(__file__).resolve().parents[2] / "recipes-containers/k3s/k3s-config"
TOKEN = "/etc/rancher/k3s/token"
UNITS = ["k3s-agent.service", "k3s-agent.path", "booted.service"]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A machine with the agent's units, whose token is the file ``token`` of the test's folder."""
    room = Room(tmp_path)

    def ours(name: str) -> str:
        return (CONFIG / name).read_text().replace(TOKEN, str(tmp_path / "token"))

    # As k3s, it refuses a token that is empty, and as its unit says, systemd tries again.
    command = f"test -s {tmp_path}/token || {{ echo empty >{tmp_path}/events; exit 1; }}; echo agent >{tmp_path}/events"
    service = "[Service]\nType=oneshot\nRemainAfterExit=yes\nRestart=on-failure\nRestartSec=100ms\n"
    text = f"{PLAIN}StartLimitIntervalSec=0\n{service}ExecStart=/bin/sh -c '{command}'\n"
    room.write("k3s-agent.service", text)
    room.write("k3s-agent.service.d/10-agent.conf", ours("10-agent.conf"))
    room.write("k3s-agent.path", ours("k3s-agent.path").replace("[Unit]\n", PLAIN))
    room.oneshot("booted", "booted", "After=k3s-agent.service k3s-agent.path\n")
    yield room
    room.end()


def test_agent_with_a_token_starts_at_boot(room: Room, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("K10secret\n")
    room.boot(*UNITS)
    room.until("agent")


@pytest.fixture
def waiting(room: Room) -> Room:
    """A machine that has booted without a token."""
    room.boot(*UNITS)
    assert room.until("booted") == [], "expected an agent that does not start without a token"
    return room


def test_agent_starts_when_its_token_comes(waiting: Room, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("K10secret\n")
    waiting.until("agent")


def test_agent_starts_when_a_whole_token_is_moved_into_place(waiting: Room, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("K10secret\n")
    (tmp_path / "new").rename(tmp_path / "token")
    waiting.until("agent")


def test_agent_starts_when_its_token_is_written_long_after_its_file(waiting: Room, tmp_path: Path) -> None:
    """systemd tells the file's coming only: the agent that it starts then must find what is written later."""
    (tmp_path / "token").touch()
    waiting.until("empty")
    (tmp_path / "token").write_text("K10secret\n")
    waiting.until("agent")
