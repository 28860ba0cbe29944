# SPDX-License-Identifier: MIT
"""The commands that flash: shown by --dry-run exactly as they would run, or run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from wr_nvidia_k8s.flash import advice, host, root
from wr_nvidia_k8s.flash.error import Refused, StepFailed
from wr_nvidia_k8s.flash.tegra import INITRD_FLASH

_TAIL = 64 << 10


@dataclass(frozen=True)
class Step:
    """One command. With ``root`` it runs through sudo, unless root runs this; ``device`` is taken first.

    ``captured`` is for the archive's scripts: what to do when they fail follows from what they said, otherwise it is
    ``advice``.
    """

    title: str
    command: list[str]
    root: bool = False
    device: str | None = None
    captured: bool = False
    advice: str = ""

    def argv(self) -> list[str]:
        """The whole command line."""
        if not self.root:
            return self.command
        wrapper = [sys.executable, "-I", root.__file__, "--path", host.path()]
        if self.device:
            wrapper += ["--device", self.device]
        if os.geteuid():
            return ["sudo", "--", *wrapper, "--owner", f"{os.getuid()}:{os.getgid()}", "--", *self.command]
        return [*wrapper, "--", *self.command]

    def shell(self) -> str:
        """The same for a shell."""
        path = host.path()
        same = self.root or path == os.environ.get("PATH")  # as root, --path says it
        return ("" if same else f"PATH={shlex.quote(path)} ") + shlex.join(self.argv())

    def run(self, folder: Path) -> None:
        """Run it in ``folder``; its output goes to stderr. Raises `StepFailed`, or `Refused` if nothing was written."""
        environment = {**os.environ, "PATH": host.path()}
        with subprocess.Popen(
            self.argv(), cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            # bmaptool shows its progress only where both are terminals.
            stdout=subprocess.PIPE if self.captured else sys.stderr.fileno(),
            stderr=subprocess.STDOUT if self.captured else None,
        ) as process:  # fmt: skip
            try:
                output = _relay(process) if self.captured else ""
                status = process.wait()
            except KeyboardInterrupt:
                process.wait()  # Ctrl-C reached it as well
                raise
        if status == os.EX_NOPERM and self.device:
            raise Refused(f"expected a device that nothing uses, {self.device} was taken meanwhile: lsblk says by what")
        # initrd-flash ends with 0 even where the board reports a failure, and on R32 also where a write failed.
        if self.captured and not status and self.command[0] == f"./{INITRD_FLASH}":
            status = 0 if "Final status: SUCCESS" in output else 1
        if status:
            errors = [line.strip() for line in output.splitlines() if line.startswith(("ERR:", "Final status:"))]
            said = "".join(f"\n  {line}" for line in errors[-3:])
            what_to_do = advice.for_output(output) if self.captured else self.advice
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
