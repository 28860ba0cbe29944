# SPDX-License-Identifier: MIT
"""When the service starts beside k3s, by a real systemd: the unit's own lines, and stand-ins for what is started."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from k3s.systemd_room import PLAIN, Room
from wr_nvidia_k8s.common.paths import TOP

UNIT = (TOP / "recipes-containers/nvidia-device-plugin/files/nvidia-device-plugin.service").read_text()
PLUGIN = "nvidia-device-plugin.service"
SERVES = "echo serving >{events}; systemd-notify --ready; exec sleep infinity"
FAILS = "echo failing >{events}; exit 1"


class Node(Room):
    """A machine with k3s's units and the plugin's."""

    def plugin(self, command: str) -> None:
        """The plugin's unit as it is, but for what it starts and the sandbox around that."""
        (dependencies,) = re.findall(r"(?ms)^\[Unit\]\n(.*?)^\[Service\]", UNIT)
        restart = re.findall(r"(?m)^Restart\w*=.*\n", UNIT)
        start = command.format(events=self.folder / "events")
        service = f"[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c '{start}'\n{''.join(restart)}"
        self.write(PLUGIN, f"{PLAIN}{dependencies}{service}")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    for name in ("k3s", "k3s-agent"):
        node.oneshot(name, name)
    node.oneshot("nvidia-container-setup", "set-up")
    yield node
    node.end()


@pytest.mark.parametrize("name", ["k3s", "k3s-agent"])
def test_it_serves_before_k3s_starts_and_after_the_cards_nodes_are_made(node: Node, name: str) -> None:
    """A kubelet that knows no plugin yet fails the pods that it admits (kubernetes#116376)."""
    node.plugin(SERVES)
    node.boot(f"{name}.service", PLUGIN, "nvidia-container-setup.service")
    assert node.until(name) == ["set-up", "serving"]


def test_k3s_starts_where_the_plugin_does_not(node: Node) -> None:
    node.plugin(FAILS)
    node.boot("k3s.service", PLUGIN)
    assert "failing" in node.until("k3s")


def test_it_starts_no_k3s_that_is_disabled_or_was_stopped(node: Node) -> None:
    node.plugin(SERVES)
    node.oneshot("booted", "booted", f"After={PLUGIN} k3s.service k3s-agent.service\n")
    node.boot(PLUGIN, "booted.service")
    assert node.until("booted") == ["serving"]


@pytest.mark.parametrize("name", ["k3s", "k3s-agent"])
def test_it_goes_on_serving_while_k3s_is_stopped(node: Node, name: str) -> None:
    node.plugin(SERVES)
    node.oneshot("stop", "stopped", f"After={name}.service\n", f"systemctl stop {name} && systemctl is-active {PLUGIN}")
    node.boot(f"{name}.service", PLUGIN, "stop.service")
    assert node.until("stopped") == ["serving", name]
