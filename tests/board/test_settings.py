# SPDX-License-Identifier: MIT
"""Settings of one machine from the EFI system partition of its disk: applied before anything ordinary starts."""

from __future__ import annotations

from board.machines import RECIPES, Build, building, fill_in, has_failed, has_started, oneshot
from wr_nvidia_k8s.lab.vm.machine import Machine

FILES = RECIPES / "boot-settings" / "boot-settings"
UNIT = "boot-settings.service"
FILE = "wr-nvidia-k8s.conf"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE01 me@laptop"


def furnish(build: Build) -> None:
    build.write("usr/libexec/boot-settings", fill_in(FILES / "boot-settings", ROLE="agent", HOME="/root"), 0o755)
    build.unit(UNIT, fill_in(FILES / UNIT))
    start = oneshot("cat /proc/sys/kernel/hostname /etc/rancher/k3s/token")
    build.unit("k3s-agent.service", f"{start}[Install]\nWantedBy=multi-user.target\n")
    build.unit("sshd.service", f"{oneshot('true')}[Install]\nWantedBy=multi-user.target\n")


def test_a_file_on_the_boot_medium_one_that_is_wrong_and_none() -> None:
    with building() as build:
        furnish(build)

        async def first(machine: Machine) -> None:
            unless = has_failed("k3s-agent.service")
            await machine.wait(has_started("k3s-agent.service"), "the agent to start", 0, unless)
            said = [entry.message for entry in machine.journal.entries if entry.is_from("k3s-agent.service")]
            assert said == ["press-7", "K10f00::server:5ec4e7"]
            assert (await machine.run("cat /root/.ssh/authorized_keys")).strip() == KEY
            assert await machine.run("systemctl list-units --failed --plain --no-legend") == ""
            await machine.power_off()

        async def wrong(machine: Machine) -> None:
            await machine.wait(has_failed("k3s-agent.service"), "the agent to be held back", 0)
            await machine.wait(has_started("sshd.service"), "the machine to be reached all the same", 0)
            said = [entry.message for entry in machine.journal.entries if entry.is_from(UNIT) and entry.priority == 3]
            assert said[0].startswith(f"/dev/vda1/{FILE}:1: expected a host name of at most 63")
            assert "k3s does not start" in said[-1]
            assert (await machine.run("cat /etc/hostname")).strip() == "press-7"
            await machine.power_off()

        async def gone(machine: Machine) -> None:
            unless = has_failed("k3s-agent.service")
            await machine.wait(has_started("k3s-agent.service"), "the agent to start", 0, unless)
            said = [entry.message for entry in machine.journal.entries if entry.is_from("k3s-agent.service")]
            assert said == ["press-7", "K10f00::server:5ec4e7"], "what was applied stays"
            await machine.power_off()

        build.image(1024, {FILE: f"hostname=press-7\r\nssh-key={KEY}\r\ntoken=K10f00::server:5ec4e7\r\n"})
        build.boot(first)
        build.write_boot(FILE, "hostname=Press\n")
        build.boot(wrong)
        build.remove_boot(FILE)
        build.boot(gone)
