# SPDX-License-Identifier: MIT
"""The commands that flash: shown by --dry-run exactly as they would run, or run."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wr_nvidia_k8s.flash import advice, host, root
from wr_nvidia_k8s.flash.device import Device
from wr_nvidia_k8s.flash.error import Interrupted, Refused, StepFailed
from wr_nvidia_k8s.flash.tegra import INITRD_FLASH

_TAIL = 64 << 10


@dataclass(frozen=True)
class Step:
    """One command. With ``root`` it runs through sudo, unless root runs this; ``device`` is held from `taken` on.

    ``captured`` is for the archive's scripts: they run in the folder unpacked for them, which is the user's again
    afterwards, and what to do when they fail follows from what they said. Otherwise it is ``advice``.
    """

    title: str
    command: list[str]
    root: bool = False
    device: Device | None = None
    captured: bool = False
    advice: str = ""

    def argv(self, *more: str) -> list[str]:
        """The whole command line, with ``more`` options for `flash.root`."""
        wrapper = [sys.executable, "-I", root.__file__, *more, "--path", host.path()]
        if self.device:
            wrapper += ["--device", self.device.path, "--identity", json.dumps(self.device.identity)]
        if not (self.root and os.geteuid()):
            return [*wrapper, "--", *self.command]
        # The folder of an archive's script is ours. Any other is the user's, who may keep files of others there.
        owner = ["--owner", f"{os.getuid()}:{os.getgid()}"] if self.captured else []
        return ["sudo", "--", *wrapper, *owner, "--", *self.command]

    def shell(self) -> str:
        """The same for a shell, which ends its commands itself."""
        if self.root or self.device:
            return shlex.join(self.argv())
        path = host.path()
        return ("" if path == os.environ.get("PATH") else f"PATH={shlex.quote(path)} ") + shlex.join(self.command)

    @contextmanager
    def taken(self, folder: Path) -> Iterator[Callable[[], None]]:
        """Ask for root where it is needed and take the device; what is yielded then runs the command in ``folder``.

        Its output goes to stderr. It raises `StepFailed`, or `Interrupted` where Ctrl-C or a signal came. On the way
        out nothing of the command is left running. Raises `Refused`: nothing was written.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                self.argv("--wait"), cwd=folder, env={**os.environ, "PATH": host.path()}, stdin=theirs.fileno(),
                # bmaptool shows its progress only where both are terminals.
                stdout=subprocess.PIPE if self.captured else sys.stderr.fileno(),
                stderr=subprocess.STDOUT if self.captured else None,
            )  # fmt: skip
        with process, ours:  # first it sees that our end is closed, then it is waited for
            answer = ours.makefile("rb").readline()
            if answer != root.READY:
                raise Refused(answer.decode().strip() or self._no_root(process))
            yield lambda: self._run(process, ours, folder)

    def run(self, folder: Path) -> None:
        """`taken`, and done at once."""
        with self.taken(folder) as go:
            go()

    def _no_root(self, process: subprocess.Popen[bytes]) -> str:
        """What sudo itself said has been on the terminal, but where it was captured."""
        said = process.stdout.read().decode(errors="replace").strip() if process.stdout else ""
        return (
            f"expected {'sudo to run' if self.root else ''} {self.command[0]}{' as root' if self.root else ''}, "
            f"it ended with {process.wait()}{said and f': {said}'}; nothing was written"
        )

    def _run(self, process: subprocess.Popen[bytes], ours: socket.socket, folder: Path) -> None:
        try:
            ours.sendall(b"\n")
            output = _relay(process) if self.captured else ""
            status = process.wait()
        except KeyboardInterrupt as error:
            raise Interrupted(*error.args) from None
        # initrd-flash ends with 0 even where the board reports a failure, and on R32 also where a write failed.
        if self.captured and not status and self.command[0] == f"./{INITRD_FLASH}":
            status = 0 if "Final status: SUCCESS" in output else 1
        if status:
            errors = [line.strip() for line in output.splitlines() if line.startswith(("ERR:", "Final status:"))]
            said = "".join(f"\n  {line}" for line in errors[-3:])
            what_to_do = advice.for_output(output, advice.logged(folder)) if self.captured else self.advice
            raise StepFailed(f"{self.title}: {self.command[0]} failed (status {status}){said}\n{what_to_do}")


def _relay(process: subprocess.Popen[bytes]) -> str:
    """Show a process's output while it comes; the end of it."""
    assert process.stdout is not None  # noqa: S101 -- Popen's type says less than its arguments
    hint, tail = advice.WaitHint(), b""
    while data := os.read(process.stdout.fileno(), 4096):
        text = data.decode(errors="replace")
        sys.stderr.write(text)
        if said := hint.feed(text, time.monotonic()):
            sys.stderr.write(f"\n{said}\n")
        sys.stderr.flush()
        tail = (tail + data)[-_TAIL:]
    return tail.decode(errors="replace")
