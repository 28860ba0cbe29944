# SPDX-License-Identifier: MIT
"""A machine whose clock has stopped in 2000: k3s starts with the time that a time server gives, or else the image's."""

from __future__ import annotations

import datetime
import os

from board.machines import Build, building, fill_in, has_failed, has_started, oneshot
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.lab.vm.machine import Machine

FILES = TOP / "recipes-containers" / "k3s" / "k3s-time-sync"
UNIT = "k3s-time-sync.service"
HARDWARE = ["-rtc", "base=2000-01-01T00:00:00"]
YEAR = 365 * 24 * 3600
# Later than Debian's systemd, which has a floor of its own, was built.
BUILT = int(datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc).timestamp())
NOW = BUILT + YEAR
# A time server (RFC 5905) that begins to answer when k3s already waits for it.
SERVER = f"""
import socket, struct
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 123))
while True:
    query, client = server.recvfrom(48)
    now = struct.pack(">II", {NOW} + 2208988800, 0)
    head = struct.pack(">BBbbIII", 0x24, 1, 6, -20, 0, 0, 0x4c4f434c)
    server.sendto(head + now + query[40:48] + now + now, client)
"""


def furnish(build: Build, server: str, seconds: int) -> None:
    build.unit(UNIT, fill_in(FILES / UNIT, SECONDS=str(seconds)))
    # A floor as clock_epoch.bbclass makes it.
    build.write("usr/lib/clock-epoch", "")
    os.utime(build.tree / "usr/lib/clock-epoch", (BUILT, BUILT))
    build.units.append("systemd-timesyncd.service")
    build.write("etc/systemd/timesyncd.conf", f"[Time]\nNTP={server}\nFallbackNTP=\nConnectionRetrySec=1\n")
    build.write("usr/local/lib/server.py", SERVER)
    build.unit("server.service", "[Service]\nExecStart=/usr/bin/python3 /usr/local/lib/server.py\n")
    start = oneshot("echo started at $(date +%%s)")
    build.unit("k3s.service", f"{start}[Install]\nWantedBy=multi-user.target\n")


async def started_at(machine: Machine) -> int:
    """The machine's time when k3s started."""
    await machine.wait(has_started("k3s.service"), "k3s to start", 0, has_failed("k3s.service"))
    said = [entry.message for entry in machine.journal.entries if entry.is_from("k3s.service")]
    assert await machine.run("systemctl list-units --failed --plain --no-legend") == ""
    return int(said[0].removeprefix("started at "))


def test_k3s_waits_for_the_time() -> None:
    with building() as build:
        furnish(build, "127.0.0.1", 3600)

        async def life(machine: Machine) -> None:
            at = await machine.wait(lambda entry: entry.is_about(UNIT), f"{UNIT} to begin")
            assert not [entry for entry in machine.journal.entries[:at] if entry.is_about("k3s.service")]
            await machine.run("systemctl start server.service")
            # The server always tells the same time, of which half the way there and back is taken.
            assert NOW - 3600 <= await started_at(machine) < NOW + YEAR

        build.image(1024)
        build.boot(life, HARDWARE)


def test_without_a_time_server_it_goes_on_with_the_images_time_and_says_so() -> None:
    with building() as build:
        furnish(build, "192.0.2.1", 5)

        async def life(machine: Machine) -> None:
            assert BUILT <= await started_at(machine) < BUILT + YEAR
            (warning,) = [e for e in machine.journal.entries if e.is_from(UNIT) and e.priority == 4]
            assert "No time from a server within 5 s (status 124): k3s starts with 2030-01-01T" in warning.message

        build.image(1024)
        build.boot(life, HARDWARE)
