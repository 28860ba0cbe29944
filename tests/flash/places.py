# SPDX-License-Identifier: MIT
"""Where the flash tests run the command: a simulated USB, folders of its own, real loop devices."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).resolve().parents[2]
MIB = 1 << 20


@dataclass
class Place:
    """A folder that an ordinary user can read, with the folders that the command uses in it."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in (self.sysfs, self.tools, self.tmp):
            path.mkdir(parents=True)
        self.tmp.chmod(0o1777)
        # Daemons' clients that a container does not have; the stand-ins for the archive's scripts only look for them.
        for tool in ("udisksctl", "udevadm"):
            self.tool(tool, "#!/bin/sh\nexit 0\n")
        if os.geteuid():
            # Tests that an ordinary user runs must not ask for a password; what is root's then stays the user's.
            self.tool("sudo", '#!/bin/sh\n[ "$1" = -- ] || exit 1\nshift\nexec "$@"\n')

    @property
    def sysfs(self) -> Path:
        return self.folder / "sys/bus/usb/devices"

    @property
    def tools(self) -> Path:
        return self.folder / "bin"

    @property
    def tmp(self) -> Path:
        return self.folder / "tmp"

    def tool(self, name: str, script: str) -> None:
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def path_without(self, *missing: str) -> str:
        """A PATH with all of /usr/bin but some commands."""
        for tool in Path("/usr/bin").iterdir():
            if not (self.tools / tool.name).exists():
                (self.tools / tool.name).symlink_to(tool)
        for name in missing:
            (self.tools / name).unlink(missing_ok=True)
        return str(self.tools)

    def plug(self, port: str, product: str, vendor: str = "0955") -> None:
        """Connect a device to the simulated USB."""
        device = self.sysfs / port
        device.mkdir()
        bus, _, path = port.partition("-")
        values = {"idVendor": vendor, "idProduct": product, "busnum": bus, "devnum": "7", "devpath": path}
        for name, value in values.items():
            (device / name).write_text(f"{value}\n")
        (self.sysfs / f"{port}:1.0").mkdir()

    def environment(self) -> dict[str, str]:
        return {
            **os.environ, "PATH": f"{self.tools}:/usr/bin:/bin", "TMPDIR": str(self.tmp),
            "SYSFS_PATH": str(self.folder / "sys"), **self.variables,
        }  # fmt: skip

    def flash(self, *arguments: str | Path, prefix: tuple[str | Path, ...] = (), **more: Any) -> Result:
        done = subprocess.run(
            [*prefix, TOP / "scripts/flash", *arguments], env=self.environment(), capture_output=True, text=True,
            cwd=self.folder, **{"stdin": subprocess.DEVNULL, "timeout": 120, **more},
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr, [path.name for path in self.tmp.iterdir()])


@dataclass(frozen=True)
class Result:
    code: int
    stdout: str
    stderr: str
    left: list[str]  # in the folder for temporary files

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.stdout)
        return value


@dataclass(frozen=True)
class Loop:
    """A real block device over a file."""

    path: str
    file: Path

    def digest(self) -> str:
        with Path(self.path).open("rb") as device:
            return hashlib.sha256(device.read()).hexdigest()

    def partition(self) -> str:
        """Make one partition that takes all."""
        run("sgdisk", "--clear", "--new=1:0:0", self.path)
        run("partprobe", self.path)
        return f"{self.path}p1"


def run(*command: str | Path) -> str:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return subprocess.run(command, env={**os.environ, "PATH": path}, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True).stdout  # fmt: skip


def in_foreground() -> None:
    """A preexec_fn: Ctrl-C and a hang-up count, also where the tests run in a shell's background or under nohup."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def need(*commands: str) -> None:
    """Skip where a command is missing."""
    for command in commands:
        if shutil.which(command, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"{command}: scripts/test installs it (tests/debian-packages.txt)")
