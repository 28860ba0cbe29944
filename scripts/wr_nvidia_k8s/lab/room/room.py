# SPDX-License-Identifier: MIT
"""A private environment for a daemon that assumes it owns the whole machine, as a kubelet does.

A `Room` is a set of private namespaces (mount, PID, network, IPC, cgroup: namespaces(7)) and a scratch
directory. What runs in it sees the machine's files with the room's mounts over them, only its own processes
and cgroups, and no network but its own loopback. When the room is closed, or its owner dies in any
way, everything in it is killed, and its cgroups and scratch directory are removed. Needs root.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.lab.room import keeper

_DEADLINE = 30.0


class RoomError(UserError):
    """A room, or a program in it, could not be started or has ended; the text quotes its output."""


def unavailable() -> str | None:
    """What is missing to make a `Room` here and how to get it, or None where nothing is."""
    if os.geteuid() != 0:
        return "root, to make namespaces and cgroups: run this as root"
    probe = ["unshare", "--mount", "--pid", "--net", "--ipc", "--cgroup", "--fork", "true"]
    if subprocess.run(probe, capture_output=True).returncode:
        return "CAP_SYS_ADMIN, to make namespaces: run this outside of a container, or in a privileged one"
    return None


class Room:
    """Private namespaces around the scratch directory `scratch`, which is made with the prefix ``name``.

    files: {name: text} to make in the scratch directory; a name that ends in / is a directory.
    own: {directory in the scratch directory: path of the machine that is to be seen there, too}.
    hide: directories that are empty in the room.
    show: {path in the room: file or directory of the scratch directory that is to be seen there}.
    path: directories in the scratch directory to look for programs in before the machine's.
    network: see the machine's network instead.
    within: the folder to make the scratch directory in, instead of that for temporary files.

    Raises RoomError if the kernel refuses or a privilege is missing.
    """

    def __init__(
        self,
        name: str,
        *,
        files: Mapping[str, str],
        own: Mapping[str, Path],
        hide: Sequence[str],
        show: Mapping[str, str],
        path: Sequence[str] = (),
        network: bool = False,
        within: Path | None = None,
    ) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=within)).resolve()
        self._namespaces = ["--mount", "--pid", "--ipc", *([] if network else ["--net"])]
        for hidden in hide:
            if self.scratch.is_relative_to(hidden):
                self.scratch.rmdir()
                raise RoomError(f"{self.scratch}: expected a temporary directory outside {hidden}; set TMPDIR")
        # Nothing of the owner's environment: a proxy, for one, would be asked for the room's own loopback.
        folders = [*(str(self.scratch / inside) for inside in path), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        self.environment = {"PATH": ":".join(folders), "LANG": "C.UTF-8", "HOME": str(self.scratch)}
        for file, text in files.items():
            target = self.scratch / file
            (target if file.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
            if not file.endswith("/"):
                target.write_text(text)
        commands: list[list[str]] = []
        for inside, outside in own.items():
            (self.scratch / inside).mkdir()
            commands.append(["mount", "--bind", str(outside), str(self.scratch / inside)])
        for hidden in hide:
            commands.append(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", hidden])
        for shown, inside in show.items():
            if (self.scratch / inside).is_dir():
                commands.append(["mkdir", "-p", shown])
            commands.append(["mount", "--bind", str(self.scratch / inside), shown])
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._open(commands)

    def _open(self, commands: list[list[str]]) -> None:
        self._complaint = tempfile.TemporaryFile("w+")  # noqa: SIM115 -- open as long as the keeper runs
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", keeper.__file__, str(self.scratch), json.dumps([self._namespaces, commands])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaint,
            cwd="/",
            start_new_session=True,  # an interrupt at the terminal is for the owner to act on
        )
        assert self._keeper.stdout is not None  # noqa: S101 -- PIPE above
        with self._keeper.stdout as answer:
            line = answer.readline()
        if not line:
            self.close()
            raise RoomError(f"the room {self.scratch.name} ended before it was made")
        self._pid, *self._cgroups = json.loads(line)

    def close(self, deadline: float = _DEADLINE) -> None:
        """Kill what runs in the room, and remove its cgroups and scratch directory. May be called again.

        deadline: seconds that this may take. Raises RoomError where that did not succeed, or where the room was never
        made.
        """
        assert self._keeper.stdin is not None  # noqa: S101 -- PIPE at the start
        if self._complaint.closed:
            return
        with self._complaint, self._keeper.stdin:
            self._keeper.stdin.close()
            try:
                for process in (self._keeper, *self._daemons):
                    process.wait(deadline)
            except subprocess.TimeoutExpired as error:
                raise RoomError(f"the room {self.scratch.name} does not end: {error}") from error
            if self._keeper.returncode:
                self._complaint.seek(0)
                raise RoomError(f"the room {self.scratch.name} failed: {self._complaint.read().strip()}")

    def command(self, argv: Sequence[str]) -> list[str]:
        """``argv`` wrapped so that, started outside the room, it runs inside."""
        # The cgroups before the namespace: systemd mounts v2 so that no process crosses a namespace's border.
        join = f'for d in {shlex.join(self._cgroups)}; do echo 0 >"$d/cgroup.procs"; done; exec "$@"'
        enter = ["nsenter", f"--target={self._pid}", *self._namespaces, "--cgroup"]
        return ["sh", "-ec", join, "sh", *enter, "--", *argv]

    def start(self, argv: Sequence[str], log: Path) -> Daemon:
        """Start a daemon in the room, its output appended to ``log``."""
        # nsenter hands no signal on: so the pid inside, another one than outside, is noted.
        pid_file = self.scratch / f"{Path(argv[0]).name}.pid"
        pid_file.unlink(missing_ok=True)
        note = ["sh", "-ec", 'echo $$ >"$0.new"; mv "$0.new" "$0"; exec "$@"', str(pid_file)]
        with log.open("a") as output:
            process = subprocess.Popen(
                self.command([*note, *argv]),
                cwd="/",
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._daemons.append(process)
        return Daemon(self, process, pid_file, log)

    def run(self, argv: Sequence[str], *, check: bool = True) -> str:
        """Run a short command in the room and return its output. Raises RoomError if it fails, and ``check`` is set."""
        command = self.command(argv)
        try:
            done = subprocess.run(
                command,
                cwd="/",
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_DEADLINE,
            )
        except subprocess.TimeoutExpired as error:
            raise RoomError(f"{shlex.join(argv)}: expected an end within {_DEADLINE:.0f} s") from error
        if check and done.returncode:
            raise RoomError(f"{shlex.join(argv)}: exit status {done.returncode}: {done.stderr.strip()}")
        return done.stdout


class Daemon:
    """A program that `Room.start` has started; it runs until it is stopped or the room is closed."""

    def __init__(self, room: Room, process: subprocess.Popen[bytes], pid_file: Path, log: Path) -> None:
        self.name = pid_file.stem
        self._room = room
        self._process = process
        self._pid_file = pid_file
        self._log = log

    def check(self) -> None:
        """Raise RoomError, with the end of its log, if the daemon has ended."""
        if self._process.poll() is not None:
            raise RoomError(f"{self.name} ended with status {self._process.returncode}:\n{self.log()}")

    def log(self, lines: int = 30) -> str:
        """The last lines that the daemon wrote."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, deadline: float = 20.0) -> None:
        """End the daemon: with SIGTERM, and with SIGKILL when it takes longer than ``deadline`` seconds."""
        for name in ("TERM", "KILL"):
            if self._process.poll() is None and self._pid_file.exists():
                kill = ["sh", "-c", f"kill -{name} $0", self._pid_file.read_text().strip()]
                self._room.run(kill, check=False)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(deadline)
                return
        raise RoomError(f"{self.name} did not end")
