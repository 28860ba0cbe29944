# SPDX-License-Identifier: MIT
"""Run the image tests on a board by its address, without a build directory.

The cases are meta-wr-nvidia-k8s/lib/oeqa/runtime/cases/nvidia_k8s.py, which `bitbake -c testimage` runs as well;
OE-core's own oe-test runs them here, so the trees of oe-core and bitbake are all that is needed.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from wr_nvidia_k8s.common.errors import HostError
from wr_nvidia_k8s.common.main import run_main
from wr_nvidia_k8s.common.paths import LAYER, LAYERS

LIB = LAYER / "lib"
SUITE = "nvidia_k8s"
_EPILOG = """\
root must be able to log in without a prompt: with your key, or on an image with kas/include/debug-tweaks.yml. ssh uses
its usual settings (~/.ssh/config, an agent). The tests create pods in the namespace default, delete them again, and
restart k3s once. They ask the board what the image was built for, unless --testdata says so.

settings (--set NAME=VALUE):
  WR_NVIDIA_K8S_TEST_IMAGE    a container image that runs deviceQuery of NVIDIA's CUDA samples; without it
                              that case is skipped
  WR_NVIDIA_K8S_TEST_TIMEOUT  the longest single wait, in seconds (600)
  WR_NVIDIA_K8S_SECURE        1: the image was built in secure mode, and pods try to bypass it

exit codes: 0 every case that ran passed; 1 a case failed; 2 wrong usage; 69 OE-core's tree is missing, or the board
does not answer
"""


def missing_trees(layers: Path) -> list[str]:
    """What oe-test needs and is not in ``layers``."""
    return [name for name in ("oe-core/scripts/oe-test", "bitbake/lib/bb") if not (layers / name).exists()]


class Address(NamedTuple):
    """Where an SSH server is; an empty port is ssh's own choice."""

    host: str
    port: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if self.port and ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


def parse_address(text: str) -> Address:
    """ADDRESS[:PORT]; an IPv6 address with or without brackets and zone, in brackets where it has a port."""
    match = re.fullmatch(r"\[([^]]+:[^]]*)\](?::([0-9]+))?|([^:[\]]+)(?::([0-9]+))?|([^[\]]+)", text)
    host, port = (match[1] or match[3] or match[5], match[2] or match[4] or "") if match else ("", "")
    try:
        parsed = ipaddress.IPv6Address(host) if ":" in host or not host else None
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a name, an IPv4 or an IPv6 address, or [ADDRESS]:PORT where an IPv6 one has a port, found {text}"
        ) from None
    if parsed and parsed.is_link_local and not parsed.scope_id:
        raise argparse.ArgumentTypeError(f"expected a link-local address with its interface, {host}%eth0, found {text}")
    return Address(host, port)


def unreachable(address: Address) -> str:
    """What ssh says if it cannot log in to the board; empty if it can."""
    # As OE-core calls it, but without a prompt.
    options = ["BatchMode=yes", "UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "LogLevel=ERROR",
               "ConnectTimeout=10"]  # fmt: skip
    command = ["ssh", "-l", "root", *(f"-o{option}" for option in options),
               *(["-p", address.port] if address.port else []), address.host, ":"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return "ssh is not installed: apt-get install openssh-client"
    return done.stderr.strip() or f"ssh ended with {done.returncode}" if done.returncode else ""


def _ssh_with_port(folder: Path, port: str) -> None:
    """ssh and scp in ``folder`` that use this port: oe-test has none for an IPv6 address."""
    folder.mkdir(exist_ok=True)
    for name, option in (("ssh", "-p"), ("scp", "-P")):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {shutil.which(name)} {option} {port} "$@"\n')
        program.chmod(0o755)


def run(address: Address, layers: Path, data: dict[str, Any], results: Path) -> int:
    """Run the cases; oe-test's exit status. ``results`` gets its log and testresults.json."""
    results.mkdir(parents=True, exist_ok=True)
    (results / "testdata.json").write_text(json.dumps(data))
    # What the cases ask of the manifest is whether the image is one of ours; the first of them asks the board.
    (results / "manifest").write_text("nvidia-device-plugin all 0\n")
    command = [
        sys.executable, str(layers / "oe-core/scripts/oe-test"), "runtime",
        "--target-type", "simpleremote", "--target-ip", address.host if ":" in address.host else str(address),
        # No case calls back.
        "--server-ip", "127.0.0.1",
        "--test-data-file", "testdata.json", "--packages-manifest", "manifest",
        "--output-log", "log", "--json-result-dir", str(results),
        "--run-tests", SUITE, "--", str(LIB / "oeqa/runtime/cases"),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(layers / "bitbake/lib"), str(LIB)])}
    if ":" in address.host and address.port:
        _ssh_with_port(results / "bin", address.port)
        environment["PATH"] = f"{results / 'bin'}:{environment['PATH']}"
    return subprocess.run(command, cwd=results, env=environment, check=False).returncode


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, found {text}")
    return name, value


def main() -> int:
    """The command line of scripts/test-board."""
    parser = argparse.ArgumentParser(
        prog="test-board",
        description="Test a flashed board: services, node, GPU, pods in turn, a restart of k3s.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "address", metavar="ADDRESS[:PORT]", type=parse_address,
        help="where the board's SSH server is; an IPv6 address with a port as [ADDRESS]:PORT, a link-local one with "
        "its interface as ADDRESS%%INTERFACE")  # fmt: skip
    parser.add_argument("--set", dest="settings", metavar="NAME=VALUE", type=_setting, action="append", default=[])
    parser.add_argument("--testdata", type=Path, metavar="FILE", help="NAME.testdata.json from beside the image")
    parser.add_argument("--layers", type=Path, metavar="DIR", default=LAYERS,
                        help="the folder with the trees oe-core and bitbake (default: %(default)s)")  # fmt: skip
    parser.add_argument("--results", type=Path, metavar="DIR", help="where to write results (default: a new folder)")
    options = parser.parse_args()
    if missing := missing_trees(options.layers):
        raise HostError(
            f"expected {' and '.join(missing)} in {options.layers}; have kas fetch the trees:\n"
            f"       KAS_WORK_DIR={options.layers} kas checkout kas/qemu-x86-64.yml"
        )
    if said := unreachable(options.address):
        raise HostError(
            f"expected SSH to log in as root@{options.address}; ssh said: {said}\n"
            "       check the address, and add your key to the board's /root/.ssh/authorized_keys"
        )
    data: dict[str, Any] = {"MLPREFIX": ""}
    if options.testdata:
        data.update(json.loads(options.testdata.read_text()))
    data.update(options.settings)
    results = options.results or Path(tempfile.mkdtemp(prefix="test-board-"))
    status = run(options.address, options.layers.resolve(), data, results.resolve())
    print(f"the log and testresults.json are in {results}", file=sys.stderr)
    return 1 if status else 0


if __name__ == "__main__":
    run_main(main)
