# SPDX-License-Identifier: MIT
"""A real systemd that runs the units of a test and none of the machine's.

It is the first process of namespaces of its own. What it and its units write to /etc, /run and /var is gone with them.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

SYSTEMD = Path("/lib/systemd/systemd")
PLAIN = "[Unit]\nDefaultDependencies=no\n"
"""How a unit begins that waits for nothing of an ordinary start."""
_READY = "the namespaces are ready"
_BOOT = f"""
set -e
mount -t tmpfs tmpfs /run
for folder in etc var; do
    mkdir -p /run/$folder/upper /run/$folder/work
    mount -t overlay overlay -o lowerdir=/$folder,upperdir=/run/$folder/upper,workdir=/run/$folder/work /$folder
done
mount -t tmpfs tmpfs /sys/fs/cgroup
for controllers in none,name=systemd devices memory pids; do
    name=${{controllers#none,name=}}
    mkdir /sys/fs/cgroup/$name
    mount -t cgroup -o $controllers cgroup /sys/fs/cgroup/$name || [ $name != systemd ]
done
echo {_READY}
exec env container=test SYSTEMD_UNIT_PATH="$1" /lib/systemd/systemd --system --unit=multi-user.target --show-status=no
"""


class Room:
    """The units of a test, and a pipe into which they write what happens."""

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("root, for namespaces in which systemd starts")
        if not SYSTEMD.exists() or not shutil.which("unshare"):
            pytest.skip("systemd: apt-get install systemd")
        self.folder = folder
        self.units = folder / "units"
        self.units.mkdir()
        os.mkfifo(folder / "events")
        # Opened for writing as well, the pipe never ends.
        self._events = os.open(folder / "events", os.O_RDWR)
        self._process: subprocess.Popen[bytes] | None = None
        self._text = ""

    def write(self, name: str, text: str) -> None:
        """Add the unit (or drop-in) ``name``."""
        path = self.units / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def oneshot(self, name: str, event: str, unit: str = "", command: str = "true") -> None:
        """Add a service that runs ``command`` and then says ``event``; ``unit`` are more lines of [Unit]."""
        text = f"ExecStart=/bin/sh -c '{command}; echo {event} >{self.folder}/events'"
        self.write(f"{name}.service", f"{PLAIN}{unit}[Service]\nType=oneshot\nRemainAfterExit=yes\n{text}\n")

    def boot(self, *wanted: str) -> None:
        """Start systemd, and with it the units ``wanted``."""
        self.write("multi-user.target", f"{PLAIN}Wants={' '.join(wanted)}\n")
        for name in ("sysinit", "basic", "shutdown"):
            self.write(f"{name}.target", PLAIN)
        spaces = ["--mount", "--pid", "--cgroup", "--fork", "--mount-proc", "--kill-child"]
        command = ["unshare", *spaces, "sh", "-c", _BOOT, "boot", str(self.units)]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def until(self, event: str, seconds: float = 120) -> list[str]:
        """The events up to the next ``event``."""
        end = time.monotonic() + seconds
        while f"{event}\n" not in self._text:
            assert self._process is not None
            if self._process.poll() is not None:
                log = (self.folder / "log").read_text()
                if _READY not in log:
                    pytest.skip(f"namespaces in which systemd starts: {log.strip()}")
                pytest.fail(f"systemd ended: {log}")
            ready, _, _ = select.select([self._events], [], [], 0.5)
            if ready:
                self._text += os.read(self._events, 4096).decode()
            assert time.monotonic() < end, f"expected {event}, found {self._text.split()}"
        before, _, self._text = self._text.partition(f"{event}\n")
        return before.split()

    def end(self) -> None:
        """End systemd and all that it started."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        os.close(self._events)
