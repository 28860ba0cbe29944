# SPDX-License-Identifier: MIT
"""An agent's start, by a real systemd: its units are ours, and only what they start is a stand-in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from k3s.systemd_room import PLAIN, Room

CONFIG = Path(__file__).resolve().parents[2] / "recipes-containers/k3s/k3s-config"
TOKEN = "/etc/rancher/k3s/token"
UNITS = ["k3s-agent.service", "k3s-agent.path", "seen.path", "booted.service"]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A machine with the agent's units, whose token is the file ``token`` of the test's folder."""
    room = Room(tmp_path)

    def ours(name: str) -> str:
        return (CONFIG / name).read_text().replace(TOKEN, str(tmp_path / "token"))

    room.oneshot("k3s-agent", "agent")
    room.write("k3s-agent.service.d/10-agent.conf", ours("10-agent.conf"))
    room.write("k3s-agent.path", ours("k3s-agent.path").replace("[Unit]\n", PLAIN))
    # Sees what the agent's path unit sees, and speaks when the agent was started, or was not.
    room.write("seen.path", f"{PLAIN}[Path]\nPathChanged={tmp_path}/token\n")
    room.oneshot("seen", "seen", "After=k3s-agent.service\n")
    room.oneshot("booted", "booted", "After=k3s-agent.service k3s-agent.path seen.path\n")
    yield room
    room.end()


def test_agent_with_a_token_starts_at_boot(room: Room, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("K10secret\n")
    room.boot(*UNITS)
    assert room.until("booted") == ["agent"]


def test_agent_without_a_token_starts_when_it_comes(room: Room, tmp_path: Path) -> None:
    room.boot(*UNITS)
    assert room.until("booted") == [], "expected an agent that does not start without a token"
    (tmp_path / "token").touch()
    assert room.until("seen") == [], "expected an agent that does not start with an empty token"
    (tmp_path / "token").write_text("K10secret\n")
    room.until("agent")


def test_agent_starts_when_a_whole_token_is_moved_into_place(room: Room, tmp_path: Path) -> None:
    room.boot(*UNITS)
    assert room.until("booted") == []
    (tmp_path / "new").write_text("K10secret\n")
    (tmp_path / "new").rename(tmp_path / "token")
    room.until("agent")
