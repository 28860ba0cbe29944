# SPDX-License-Identifier: MIT
"""Checks of the plugin's service on a booted machine. Every check raises MachineError.

Every wait is for an entry of the machine's journal; the commands bring something about, or ask systemd or the kernel.
"""

from __future__ import annotations

import json
import re

from wr_nvidia_k8s.lab.vm import board
from wr_nvidia_k8s.lab.vm.journal import Entry
from wr_nvidia_k8s.lab.vm.machine import Machine

UNIT = "nvidia-device-plugin.service"
KUBELET = "k3s.service"
GPU = "nvidia.com/gpu"
FOLDER = "/var/lib/kubelet/device-plugins"
REGISTERED = f"Registered device plugin for '{GPU}' with Kubelet"
RELOADED = "Reloaded the configuration"
_ERROR = 3
# sd-messages.h: SD_MESSAGE_UNIT_PROCESS_EXIT (not 0) and SD_MESSAGE_UNIT_SUCCESS.
_EXITED = "98e322203f7a4ed290d09fe03c09fe15"
_DEACTIVATED = "7ad2d189f7e94e70a38c781354912448"


def is_registered(entry: Entry) -> bool:
    return entry.is_from(UNIT) and entry.message == REGISTERED


def is_started(entry: Entry) -> bool:
    """Whether systemd reports the unit as started: with Type=notify, after the program said so."""
    return entry.is_about(UNIT) and entry.fields.get("JOB_TYPE") == "start" and entry.fields.get("JOB_RESULT") == "done"


def has_ended(entry: Entry) -> bool:
    """Whether systemd reports that the service's program ended."""
    return entry.is_about(UNIT) and entry.fields.get("MESSAGE_ID") in (_EXITED, _DEACTIVATED)


def has_deactivated(entry: Entry) -> bool:
    """Whether systemd reports that the service's program ended successfully."""
    return entry.is_about(UNIT) and entry.fields.get("MESSAGE_ID") == _DEACTIVATED


def has_gpu(entry: Entry) -> bool:
    """Whether the node reports one GPU (`vm.node`)."""
    if entry.identifier != "node" or not entry.message.startswith("{"):
        return False
    return json.loads(entry.message).get(GPU) == 1  # type: ignore[no-any-return]


async def properties(machine: Machine, unit: str = UNIT) -> dict[str, str]:
    """All of `systemctl show`."""
    lines = (await machine.run(f"systemctl show {unit}")).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


async def expect(machine: Machine, **wanted: str) -> dict[str, str]:
    """The service's properties; those in `wanted` must have these values."""
    found = await properties(machine)
    wrong = {name: found.get(name) for name, value in wanted.items() if found.get(name) != value}
    if wrong:
        raise machine.error(f"expected {UNIT} to have {({name: wanted[name] for name in wrong})}, found {wrong}")
    return found


async def registered(machine: Machine, since: int, restarts: int) -> dict[str, str]:
    """The plugin registers after `since`, and the node has its GPU; the service's properties."""
    await machine.wait(is_registered, "the plugin to register", since, has_ended)
    await machine.wait(has_gpu, f"the node to have {GPU}: 1", since, has_ended)
    found = await expect(machine, Type="notify", ActiveState="active", SubState="running", NRestarts=str(restarts))
    if not found["StatusText"].startswith(f"registered 1 {GPU}"):
        raise machine.error(f"expected the status 'registered 1 {GPU} ...', found {found['StatusText']!r}")
    return found


async def started(machine: Machine, since: int) -> None:
    """The machine booted with the service running, and nobody logged in."""
    await machine.wait(is_started, f"systemd to have started {UNIT}", since, has_ended)
    await expect(machine, Type="notify", ActiveState="active", SubState="running", NRestarts="0")
    sessions = await machine.run("systemctl list-units --plain --no-legend --state=active 'session-*' '*getty@*'")
    if sessions:
        raise machine.error(f"expected nobody to be logged in and no prompt to do so, found {sessions}")


async def is_first(machine: Machine) -> None:
    """In a boot that nothing has happened in yet: the plugin served before the kubelet started."""
    plugin, kubelet = await properties(machine), await properties(machine, KUBELET)
    served, started = plugin["ActiveEnterTimestampMonotonic"], kubelet["ExecMainStartTimestampMonotonic"]
    if int(started) < int(served):
        raise machine.error(f"expected {KUBELET} to start after {UNIT} served at {served} us, found it at {started} us")


def milestones(machine: Machine, since: int) -> None:
    """The log shows the steps of the start, in order."""
    name = board.description(has_device_tree=machine.emulator.has_device_tree)
    wanted = (
        "Starting OS watcher",
        "Retrieving plugins",
        f"Tegra device detected: {name}",
        f"Starting FS watcher for {FOLDER}",
        f"Starting gRPC server for '{GPU}'",
        f"Serving '{GPU}' on {FOLDER}/nvidia-gpu.sock",
        REGISTERED,
    )
    log = [entry.message for entry in machine.journal.entries[since:] if entry.is_from(UNIT)]
    places = [log.index(text) if text in log else -1 for text in wanted]
    if -1 in places or places != sorted(places):
        raise machine.error(f"expected in the journal, in this order, {wanted}; found {log}")


async def survives_kill(machine: Machine, restarts: int) -> None:
    """The program is killed, systemd starts another one, and that registers."""
    before = await properties(machine)
    since = await machine.act("the plugin is killed", f"systemctl kill --signal=KILL {UNIT}")
    since = await machine.wait(has_ended, f"systemd to notice that {UNIT} was killed", since)
    after = await registered(machine, since + 1, restarts)
    if before["MainPID"] == after["MainPID"]:
        raise machine.error(f"expected a new process instead of {before['MainPID']}, found the same one")


async def is_left_alone(machine: Machine, what: str, command: str) -> None:
    """After the command the same process registers again."""
    before = await properties(machine)
    since = await machine.act(what, command)
    await registered(machine, since, int(before["NRestarts"]))
    await expect(machine, MainPID=before["MainPID"])


async def is_reloaded(machine: Machine) -> None:
    """The service takes its configuration anew; the process stays, and so does the registration."""
    before = await properties(machine)
    since = await machine.act("the service is reloaded", f"systemctl reload {UNIT}")
    await machine.wait(lambda entry: entry.is_from(UNIT) and entry.message == RELOADED, "the reload to be done", since,
                       has_ended)
    await expect(machine, MainPID=before["MainPID"], StatusText=before["StatusText"])
    if any(is_registered(entry) for entry in machine.journal.entries[since:]):
        raise machine.error("expected the registration to stay over a reload, found another one")


async def waits_for_a_kubelet(machine: Machine) -> None:
    """There is no kubelet, and the service says that it waits for one."""
    if await machine.run(f"ls {FOLDER}") != "nvidia-gpu.sock":
        raise machine.error(f"expected the plugin's socket alone in {FOLDER}")
    status = (await properties(machine))["StatusText"]
    if "waiting for a kubelet" not in status:
        raise machine.error(f"expected a status with 'waiting for a kubelet', found {status!r}")


async def is_sandboxed(machine: Machine) -> None:
    """The unit's sandbox is the kernel's: no capability, no way to new ones, a filter on system calls."""
    status = await machine.run(f"cat /proc/{(await properties(machine))['MainPID']}/status")
    for pattern in (r"^CapEff:\t0+$", r"^CapBnd:\t0+$", r"^NoNewPrivs:\t1$", r"^Seccomp:\t2$"):
        if not re.search(pattern, status, re.MULTILINE):
            raise machine.error(f"expected {pattern!r} in the process's /proc/PID/status, found\n{status}")


async def is_read_only(machine: Machine) -> None:
    """The root file system is read-only; what must be writable is in memory."""
    mounts = await machine.run("findmnt --noheadings --raw --output TARGET,FSTYPE,OPTIONS")
    for pattern in (r"^/ ext4 ro\b", r"^/var tmpfs rw\b", r"^/tmp tmpfs rw\b"):
        if not re.search(pattern, mounts, re.MULTILINE):
            raise machine.error(f"expected a mount like {pattern!r}, found\n{mounts}")


def has_no_errors(machine: Machine) -> None:
    """Neither the service nor systemd reported an error, nor systemd a problem with a line of the unit."""
    found = [
        str(entry)
        for entry in machine.journal.entries
        if (entry.is_about(UNIT) and entry.priority <= _ERROR) or UNIT in entry.fields.get("CONFIG_FILE", "")
    ]
    if found:
        raise machine.error("\n    ".join(["expected no error of the service in the journal, found", *found]))


async def figures(machine: Machine) -> dict[str, float]:
    """Of the machine's first registration: seconds since the kernel started and since exec, memory in bytes."""
    first = next(entry for entry in machine.journal.entries if is_registered(entry))
    found = await properties(machine)
    status = await machine.run(f"cat /proc/{found['MainPID']}/status")
    exposure = await machine.run(f"systemd-analyze --no-pager security {UNIT}")
    values = {
        "boot_to_registered_seconds": first.seconds,
        "spawn_to_registered_seconds": first.seconds - int(found["ExecMainStartTimestampMonotonic"]) / 1e6,
        "rss_kib": float(_number(r"^VmRSS:\s+(\d+) kB$", status)),
        "exposure": float(_number(r"Overall exposure level .*: ([\d.]+)", exposure)),
    }
    return {name: round(value, 3) for name, value in values.items()}


def _number(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else "nan"
