# SPDX-License-Identifier: MIT
"""Boot a virtual machine with the plugin's package installed, and see the service come up and stay up."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from wr_nvidia_k8s.build import plugin_package
from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.cache import say
from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.common.main import run_main
from wr_nvidia_k8s.common.scratch import owned
from wr_nvidia_k8s.freeze import parts
from wr_nvidia_k8s.freeze.parts import ARCHES
from wr_nvidia_k8s.lab.vm import image, kubelet, root, scenario
from wr_nvidia_k8s.lab.vm.machine import EMULATORS, Machine
from wr_nvidia_k8s.lab.vm.scenario import READ_ONLY_WORDS, WRITABLE_WORDS, Report

EX_UNAVAILABLE = 69
_EPILOG = """\
The machine is a minimal Debian with systemd and a kernel of Debian's, a simulated Jetson's files, a kubelet and
exactly what the recipe installs. It has no network, and nobody logs in. It boots twice: from a writable file system,
and from a read-only one with a kubelet that starts a minute after the plugin. It is fast if this user may use
/dev/kvm; otherwise the processor is emulated, which takes minutes. It needs no root.

Cache: ${XDG_CACHE_HOME:-~/.cache}/wr-nvidia-k8s/boot.
exit codes: 0 every step passed; 1 a step failed, and the last lines say which and why;
2 wrong usage; 69 a Debian package is missing and cannot be installed
"""


def needed_packages(arch: str, rpm: Path | None) -> list[str]:
    """The Debian packages that this run needs on this machine."""
    packages = [EMULATORS[arch].package, "cpio", "e2fsprogs", "kmod", "systemd"]
    packages += ["device-tree-compiler"] if EMULATORS[arch].has_device_tree else []
    packages += ["rpm2cpio"] if rpm else []
    # With an rpm as well: the kubelet's stand-in runs on what a freeze is made from.
    return [*packages, *parts.needed_packages(ARCHES[arch])]


async def _live(
    life: Callable[[Machine, Report, Callable[[str], None]], Awaitable[None]], machine: Machine, report: Report
) -> None:
    async with machine:
        await life(machine, report, lambda text: say(f"boot-test: {text}"))


def _boot(arch: str, base: Path, disk: Path, report: Report, logs: Path) -> None:
    for life, words in ((scenario.writable, WRITABLE_WORDS), (scenario.read_only, READ_ONLY_WORDS)):
        machine = Machine(EMULATORS[arch], base, disk, logs / f"{life.__name__}.console", words)
        try:
            asyncio.run(_live(life, machine, report))
        finally:
            journal = "".join(f"{entry}\n" for entry in machine.journal.entries)
            (logs / f"{life.__name__}.journal").write_text(journal, encoding="utf-8")


def run(arch: str, kubelet: str, rpm: Path | None, logs: Path | None, report: Report, *, refresh: bool) -> None:
    """Assemble the machine and run all scenarios; `report` says how far they got.

    Raises UserError, as one of these: AssemblyError, DebianError, FreezeError, PackageError, MachineError.
    """
    base = root.get(arch, refresh=refresh)
    # On the cache's file system: the tree is made of links to it.
    with owned(cache.root() / "boot" / "scratch", f"{arch}-") as scratch:
        package = scratch / "package"
        if rpm:
            plugin_package.from_rpm(rpm, package)
        else:
            plugin_package.from_recipe(arch, package, scratch)
        say(f"boot-test: assembling the machine, with the kubelet: {kubelet}")
        disk = scratch / "disk"
        image.make(base, arch, kubelet, package, disk, scratch / "image")
        shutil.rmtree(scratch / "image")
        how = "KVM" if EMULATORS[arch].accelerated else "emulation, which takes minutes"
        say(f"boot-test: booting it with {EMULATORS[arch].program} and {how}")
        report.figures["disk_bytes"] = disk.stat().st_blocks * 512
        _boot(arch, base, disk, report, logs or scratch)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/boot-test", description=__doc__, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine)
    parser.add_argument("--arch", choices=sorted(EMULATORS), default=machine, help="default: this machine's")
    parser.add_argument("--kubelet", choices=("real", "standin"), help="default: the real one where "
                        "scripts/build-kubelet has made it for this architecture, else a stand-in")
    parser.add_argument("--package", type=Path, metavar="RPM", help="install this package that BitBake made, instead "
                        "of a program that scripts/freeze makes and the recipe's install commands")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep the journals and consoles there")
    parser.add_argument("--refresh", action="store_true", help="fetch Debian's packages anew, for security updates")
    parser.add_argument("--json", action="store_true", help="print steps and figures as JSON on stdout")
    parser.add_argument("--print-needed-packages", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    if options.print_needed_packages:
        print(*needed_packages(options.arch, options.package), sep="\n")
        return 0
    node = options.kubelet or kubelet.best(options.arch)
    if options.logs:
        options.logs.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    report = Report()
    failure = ""
    try:
        run(options.arch, node, options.package, options.logs, report, refresh=options.refresh)
    except UserError as error:
        failure = f"FAILED at: {report.steps[-1]['step']}\n{error}" if report.steps else f"error: {error}"
    report.figures["seconds"] = round(time.monotonic() - started, 1)
    if options.json:
        accelerator = "kvm" if EMULATORS[options.arch].accelerated else "tcg"
        how = {"arch": options.arch, "accelerator": accelerator, "kubelet": node}
        print(json.dumps({**how, "steps": report.steps, "figures": report.figures}, indent=2))
    if failure:
        print(failure, file=sys.stderr)
        return 1
    say("boot-test: every step passed; " + ", ".join(f"{name} {value}" for name, value in report.figures.items()))
    return 0


if __name__ == "__main__":
    run_main(main)
