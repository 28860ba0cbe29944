# SPDX-License-Identifier: MIT
"""A virtual machine in qemu, watched through its journal and controlled through a serial port.

Both are virtio serial ports, each one end of a socket pair: nothing listens. The machine has no network, and
nobody logs in: what reads the commands is a service of its own (guest/).
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import re
import shutil
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.common.waiting import within
from wr_nvidia_k8s.lab.vm import board
from wr_nvidia_k8s.lab.vm.journal import Entry, Journal
from wr_nvidia_k8s.lab.vm.tools import run

_KVM = "/dev/kvm"
_X86_KVM_MODULES = ("/sys/module/kvm_amd", "/sys/module/kvm_intel")
_LINES = 40
# They talk much and are rarely to blame; what they say is in the journal that is kept.
_TALKATIVE = ("containerd", "kernel", "kubelet")


@dataclass(frozen=True)
class Emulator:
    """qemu's settings for one architecture."""

    machine: str
    package: str
    type: str
    processor: str
    console: str
    has_device_tree: bool

    @property
    def program(self) -> str:
        return f"qemu-system-{self.machine}"

    @property
    def accelerated(self) -> bool:
        """Whether this machine's own processor can run it."""
        if os.uname().machine != self.machine or not os.access(_KVM, os.R_OK | os.W_OK):
            return False
        # A KVM without the processor's help (a virtual machine may have one) is slower than emulation by far.
        return self.machine != "x86_64" or any(Path(module).exists() for module in _X86_KVM_MODULES)


EMULATORS = {
    "amd64": Emulator("x86_64", "qemu-system-x86", "q35", "qemu64", "ttyS0", has_device_tree=False),
    # What a Jetson Orin's Cortex-A78AE comes closest to in Debian's qemu.
    "arm64": Emulator("aarch64", "qemu-system-arm", "virt", "cortex-a76", "ttyAMA0", has_device_tree=True),
}


class MachineError(UserError):
    """The machine did not do what was expected; the text shows what happened instead."""


class Machine:
    """A machine that boots `vmlinuz` and `initrd` of `folder` from `disk`; use as `async with`.

    words: the kernel's command line; without root= among them, the disk is a file system as a whole. log: a file for
    the serial console. hardware: more options of qemu. Afterwards the machine is gone.
    Raises MachineError and AssemblyError.
    """

    def __init__(
        self, emulator: Emulator, folder: Path, disk: Path, log: Path, words: Sequence[str],
        hardware: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.journal = Journal()
        self.emulator = emulator
        self._folder = folder
        self._disk = disk
        self._log = log
        self._words = words
        self._extra = hardware
        self._numbers = itertools.count(1)
        # Emulation is some twenty times slower, and this machine may be busy.
        self._deadline = 120.0 if emulator.accelerated else 600.0

    async def __aenter__(self) -> Machine:
        if not shutil.which(self.emulator.program):
            program, package = self.emulator.program, self.emulator.package
            raise MachineError(f"expected {program}, found none; apt-get install {package}")
        ours, theirs = zip(*(socket.socketpair() for _ in range(2)), strict=True)
        ports = [end.fileno() for end in theirs]
        command = await asyncio.to_thread(self._command, ports)
        with self._log.open("wb") as log:
            # Whatever ends this process, it is not outlived by a machine.
            self._process = await asyncio.create_subprocess_exec(
                "setpriv", "--pdeathsig=KILL", *command, pass_fds=ports,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)
        for end in theirs:
            end.close()
        journal, self._journal_port = await asyncio.open_unix_connection(sock=ours[0])
        self._answers, self._commands = await asyncio.open_unix_connection(sock=ours[1])
        self._reader = asyncio.create_task(self._read_journal(journal))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await asyncio.gather(self._reader, return_exceptions=True)
        for port in (self._journal_port, self._commands):
            port.close()
        await asyncio.gather(
            *(port.wait_closed() for port in (self._journal_port, self._commands)), return_exceptions=True
        )

    def _command(self, ports: Sequence[int]) -> list[str]:
        channels: list[str] = []
        for name, number in zip(("journal", "command"), ports, strict=True):
            channels += ["-chardev", f"socket,id={name},fd={number}"]
            channels += ["-device", f"virtserialport,chardev={name},name=boot-test.{name}"]
        words = [f"console={self.emulator.console}", "systemd.condition-needs-update=no", *self._words]
        return [
            *self._hardware(), *self._device_tree(),
            "-nic", "none", "-serial", "stdio",
            "-kernel", str(self._folder / "vmlinuz"), "-initrd", str(self._folder / "initrd"),
            "-append", " ".join(words),
            "-drive", f"file={self._disk},format=raw,if=virtio,cache=unsafe",
            "-device", "virtio-rng-pci", "-device", "virtio-serial-pci", *channels, *self._extra,
        ]

    def _hardware(self, of_machine: str = "") -> list[str]:
        emulator = self.emulator
        accelerator = ["kvm", "-cpu", "host"] if emulator.accelerated else [
            "tcg,thread=multi", "-cpu", emulator.processor]
        return [emulator.program, "-no-user-config", "-nodefaults", "-display", "none", "-monitor", "none",
                "-machine", f"{emulator.type}{of_machine}", "-accel", *accelerator, "-m", "1280", "-smp", "2"]

    def _device_tree(self) -> list[str]:
        """The option for the board's device tree, if the machine has one."""
        if not self.emulator.has_device_tree:
            return []
        file = self._disk.with_suffix(".dtb")
        run(self._hardware(f",dumpdtb={file}"))
        board.amend(file)
        return ["-dtb", str(file)]

    async def _read_journal(self, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(65536):
            await self.journal.feed(data)
        await self.journal.end(f"qemu ended with {await self._process.wait()}")

    async def wait(self, condition: Callable[[Entry], bool], what: str, since: int = 0,
                   unless: Callable[[Entry], bool] = lambda _: False) -> int:
        """The index of the first entry from `since` on that meets the condition.

        Raises MachineError where there is none in time, or where one that meets `unless` comes first.
        """
        try:
            at = await self.journal.wait(lambda entry: condition(entry) or unless(entry), since, self._deadline)
        except asyncio.TimeoutError:
            raise self.error(f"expected {what} within {self._deadline:.0f} s, found nothing of the kind") from None
        except EOFError as error:
            raise self.error(f"expected {what}: {error}") from None
        entry = self.journal.entries[at]
        if not condition(entry):
            raise self.error(f"expected {what}, found {entry}")
        return at

    async def act(self, what: str, command: str) -> int:
        """Announce the command in the journal, then run it; returns the announcement's index.

        So everything after the index came after what was done. Raises MachineError.
        """
        mark = f"boot-test {next(self._numbers)}: {what}"
        since = len(self.journal.entries)
        await self.run(f"echo '<5>{mark}' | systemd-cat --identifier=boot-test")
        at = await self.wait(lambda entry: entry.message == mark, f"the mark {mark!r} in the journal", since)
        await self.run(command)
        return at

    async def run(self, command: str) -> str:
        """Run a shell command as root in the machine and return its output.

        Raises MachineError where it fails or does not end.
        """
        number = self.send(command)
        try:
            status, output = await within(self._deadline, self._answer(number))
        except (asyncio.TimeoutError, ConnectionError, EOFError):
            raise self.error(f"expected the machine to run {command!r}, got no answer") from None
        if status:
            raise self.error(f"expected {command!r} to succeed, it ended with {status}: {output}")
        return output

    def send(self, command: str) -> int:
        """Run a shell command without waiting for its result: it may stop the service that would return it."""
        number = next(self._numbers)
        self._commands.write(f"{number} {command}\n".encode())
        return number

    async def _answer(self, number: int) -> tuple[int, str]:
        while True:
            line = await self._answers.readline()
            if not line:
                raise EOFError
            # A line before it may be the answer, or half of it, to a command that was sent only.
            if match := re.fullmatch(rb"%d (\d+) ([A-Za-z0-9+/=]*)\n" % number, line):
                return int(match[1]), base64.b64decode(match[2]).decode(errors="replace").strip()

    async def power_off(self) -> None:
        """Shut it down in order. Raises MachineError where it does not."""
        self.send("systemctl poweroff")
        try:
            status = await within(self._deadline, self._process.wait())
        except asyncio.TimeoutError:
            raise self.error("expected the machine to power itself off") from None
        if status:
            raise self.error(f"expected qemu to end with 0, it ended with {status}")

    def error(self, text: str) -> MachineError:
        """An error that shows the end of the journal or, without a journal, of the console."""
        title = f"the end of its journal without {', '.join(_TALKATIVE)}"
        lines = [str(entry) for entry in self.journal.entries if entry.identifier not in _TALKATIVE]
        if not lines:
            title = "no journal; the end of its console"
            lines = self._log.read_text(errors="replace").splitlines()
        return MachineError("\n    ".join([f"{text}\n  {title}:", *lines[-_LINES:]]))
