# SPDX-License-Identifier: MIT
"""The two scenarios of the virtual machine, and what must happen in each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from wr_nvidia_k8s.lab.vm import checks as check
from wr_nvidia_k8s.lab.vm.machine import Machine, MachineError

LATE_SECONDS = 60
# systemd's own way to a read-only root file system: kernel-command-line(7).
WRITABLE_WORDS = ("rw",)
READ_ONLY_WORDS = ("ro", "systemd.volatile=state", "boot-test.late-kubelet")


@dataclass
class Report:
    """The steps with their durations in seconds, why the last one failed, if it did, and the measurements."""

    steps: list[dict[str, object]] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, tell: Callable[[str], None]) -> Iterator[None]:
        """Run one step; an error is recorded and passed on."""
        tell(name)
        started = time.monotonic()
        entry: dict[str, object] = {"step": name}
        self.steps.append(entry)
        try:
            yield
        except MachineError as error:
            entry["failed"] = str(error)
            raise
        finally:
            entry["seconds"] = round(time.monotonic() - started, 1)


async def writable(machine: Machine, report: Report, tell: Callable[[str], None]) -> None:
    """Boot, be killed, see the kubelet restart, be reloaded, reboot. Raises MachineError."""
    with report.step("boot: the service is active before the kubelet, registered, and the node has its GPU", tell):
        await check.started(machine, 0)
        await check.registered(machine, 0, restarts=0)
        await check.is_first(machine)
        check.milestones(machine, 0)
        report.figures.update(await check.figures(machine))
    with report.step("its sandbox is in force", tell):
        await check.is_sandboxed(machine)
    with report.step("kill -9: it comes back", tell):
        await check.survives_kill(machine, restarts=1)
    with report.step("the kubelet restarts: it registers again, and is the same process", tell):
        await check.is_left_alone(machine, "the kubelet restarts", f"systemctl restart {check.KUBELET}")
    with report.step("reload: the process and its registration stay", tell):
        await check.is_reloaded(machine)
    with report.step("reboot: it ends in order, and comes back before the kubelet", tell):
        since = await _reboot(machine)
        await check.started(machine, since)
        await check.registered(machine, since, restarts=0)
        await check.is_first(machine)
        check.milestones(machine, since)
    with report.step("no error in the journal, and the machine powers off", tell):
        check.has_no_errors(machine)
        await machine.power_off()


async def read_only(machine: Machine, report: Report, tell: Callable[[str], None]) -> None:
    """The same with a read-only root file system and a kubelet that is a minute late. Raises MachineError."""
    with report.step("read-only: the service is active and waits for a kubelet", tell):
        await check.started(machine, 0)
        await check.is_read_only(machine)
        await check.waits_for_a_kubelet(machine)
    with report.step(f"read-only: the kubelet starts {LATE_SECONDS} s later, and it registers", tell):
        report.figures["kubelet_later_seconds"] = await _start_kubelet_late(machine)
        check.milestones(machine, 0)
    with report.step("read-only: kill -9: it comes back", tell):
        await check.survives_kill(machine, restarts=1)
    with report.step("read-only: the kubelet restarts: it registers again, and is the same process", tell):
        await check.is_left_alone(machine, "the kubelet restarts", f"systemctl restart {check.KUBELET}")
    with report.step("read-only: no error in the journal, and the machine powers off", tell):
        check.has_no_errors(machine)
        await machine.power_off()


async def _reboot(machine: Machine) -> int:
    """Reboot; the index of the first entry of the new boot."""
    boot = machine.journal.entries[-1].boot
    since = await machine.act("the machine reboots", "true")
    machine.send("systemctl reboot")
    await machine.wait(check.has_deactivated, f"{check.UNIT} to end as it should", since, check.has_ended)
    return await machine.wait(lambda entry: entry.boot != boot, "an entry of another boot", since)


async def _start_kubelet_late(machine: Machine) -> float:
    """Set a timer in the machine that starts the kubelet; the seconds by which it started after the plugin was up."""
    before = await check.properties(machine)
    # The condition that has kept it from starting at boot is taken back for this boot.
    drop_in = f"/run/systemd/system/{check.KUBELET}.d"
    command = (
        f"mkdir -p {drop_in} && printf '%s\\n' '[Unit]' ConditionKernelCommandLine= >{drop_in}/late.conf && "
        f"systemctl daemon-reload && systemd-run --quiet --timer-property=AccuracySec=1ms "
        f"--on-active={LATE_SECONDS} systemctl start {check.KUBELET}"
    )
    since = await machine.act("the kubelet is to start later", command)
    await check.registered(machine, since, restarts=0)
    await check.expect(machine, MainPID=before["MainPID"])
    kubelet = await check.properties(machine, check.KUBELET)
    later = int(kubelet["ExecMainStartTimestampMonotonic"]) - int(before["ActiveEnterTimestampMonotonic"])
    return round(later / 1e6, 3)
