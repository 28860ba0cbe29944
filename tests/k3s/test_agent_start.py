# SPDX-License-Identifier: MIT
"""An agent's start, by a real systemd: its units are ours, and only what they start is a stand-in."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

CONFIG = Path(__file__).resolve().parents[2] / "recipes-containers/k3s/k3s-config"
SYSTEMD = Path("/lib/systemd/systemd")
TOKEN = "/etc/rancher/k3s/token"
# systemd as the first process of its own namespaces, with a cgroup hierarchy of its own and no units but those here.
BOOT = """
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd,xattr cgroup /sys/fs/cgroup/systemd
exec env container=test SYSTEMD_UNIT_PATH="$1" /lib/systemd/systemd --system --unit=multi-user.target --show-status=no
"""
PLAIN = "[Unit]\nDefaultDependencies=no\n"


class Node:
    """A machine whose units write what they do into one pipe."""

    def __init__(self, folder: Path) -> None:
        self.token = folder / "token"
        self.units = folder / "units"
        self.units.mkdir()
        self.log = folder / "log"
        os.mkfifo(folder / "events")
        # Opened for writing as well, the pipe never ends.
        self.events = os.open(folder / "events", os.O_RDWR)
        self.process: subprocess.Popen[bytes] | None = None
        self.text = ""
        say = f"/bin/sh -c 'echo {{}} >{folder}/events'"
        agent = f"{PLAIN}[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={say.format('agent')}\n"
        # Sees what the agent's path unit sees, and speaks when the agent was started, or was not.
        seen = f"{PLAIN}After=k3s-agent.service\n[Service]\nType=oneshot\nExecStart={say.format('seen')}\n"
        self.write("k3s-agent.service", agent)
        self.write("k3s-agent.service.d/10-agent.conf", (CONFIG / "10-agent.conf").read_text())
        self.write("k3s-agent.path", (CONFIG / "k3s-agent.path").read_text().replace("[Unit]\n", PLAIN))
        self.write("seen.path", f"{PLAIN}[Path]\nPathChanged={self.token}\n")
        self.write("seen.service", seen)
        booted = f"{PLAIN}After=k3s-agent.service k3s-agent.path seen.path\n[Service]\nType=oneshot\n"
        self.write("booted.service", f"{booted}ExecStart={say.format('booted')}\n")
        wants = "Wants=k3s-agent.service k3s-agent.path seen.path booted.service\n"
        self.write("multi-user.target", PLAIN + wants)

    def write(self, name: str, text: str) -> None:
        path = self.units / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace(TOKEN, str(self.token)))

    def boot(self) -> None:
        command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", BOOT, "boot"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*command, str(self.units)], stdout=log, stderr=subprocess.STDOUT)

    def until(self, event: str, seconds: float = 60) -> list[str]:
        """The events up to the next ``event``."""
        end = time.monotonic() + seconds
        while f"{event}\n" not in self.text:
            assert self.process is not None
            if self.process.poll() is not None:
                pytest.skip(f"systemd in namespaces of its own: {self.log.read_text().strip()}")
            ready, _, _ = select.select([self.events], [], [], min(0.5, max(0.0, end - time.monotonic())))
            if ready:
                self.text += os.read(self.events, 4096).decode()
            assert time.monotonic() < end, f"expected {event}, found {self.text.split()}"
        before, _, self.text = self.text.partition(f"{event}\n")
        return before.split()

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        os.close(self.events)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    if os.geteuid() != 0:
        pytest.skip("root, for namespaces in which systemd starts")
    if not SYSTEMD.exists() or not shutil.which("unshare"):
        pytest.skip("systemd: apt-get install systemd")
    found = Node(tmp_path)
    yield found
    found.end()


def test_agent_with_a_token_starts_at_boot(node: Node) -> None:
    node.token.write_text("K10secret\n")
    node.boot()
    assert node.until("booted") == ["agent"]


def test_agent_without_a_token_starts_when_it_comes(node: Node) -> None:
    node.boot()
    assert node.until("booted") == [], "expected an agent that does not start without a token"
    node.token.touch()
    assert node.until("seen") == [], "expected an agent that does not start with an empty token"
    node.token.write_text("K10secret\n")
    node.until("agent")


def test_agent_starts_when_a_whole_token_is_moved_into_place(node: Node) -> None:
    node.boot()
    assert node.until("booted") == []
    new = node.token.with_name("new")
    new.write_text("K10secret\n")
    new.rename(node.token)
    node.until("agent")
