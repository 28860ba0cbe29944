# SPDX-License-Identifier: MIT
"""Run the image tests on a board by its address, without a build directory.

The cases are meta-wr-nvidia-k8s/lib/oeqa/runtime/cases/nvidia_k8s.py, which `bitbake -c testimage` runs as well;
OE-core's own oe-test runs them here, so the trees of oe-core and bitbake are all that is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from wr_nvidia_k8s.build.kas import LAYERS, OWN_REPO
from wr_nvidia_k8s.common.errors import HostError
from wr_nvidia_k8s.common.main import run_main
from wr_nvidia_k8s.common.paths import TOP

LIB = TOP / OWN_REPO / "lib"
SUITE = "nvidia_k8s"
_EPILOG = """\
root must be let in without a question: by a key of yours, or by an image with kas/include/debug-tweaks.yml. ssh's
own settings are used (~/.ssh/config, an agent). Pods are made in the namespace default and deleted again, k3s is
restarted once. Of what the image was built to be, the board is asked, or --testdata tells.

settings (--set NAME=VALUE):
  WR_NVIDIA_K8S_TEST_IMAGE    a container image that runs deviceQuery of NVIDIA's CUDA samples; without it
                              that case is skipped
  WR_NVIDIA_K8S_TEST_TIMEOUT  how long one wait takes at most, in seconds (600)
  WR_NVIDIA_K8S_SECURE        1: the image is one of secure mode, and pods try to get around it

exit codes: 0 every case that ran passed; 1 one failed; 2 wrong usage; 69 OE-core's tree or the board is not there
"""


def missing_trees(layers: Path) -> list[str]:
    """What oe-test needs and is not in ``layers``."""
    return [name for name in ("oe-core/scripts/oe-test", "bitbake/lib/bb") if not (layers / name).exists()]


def unreachable(address: str) -> str:
    """What ssh says where it does not get to the board; empty where it does."""
    host, _, port = address.partition(":")
    # As OE-core calls it, but without a prompt.
    options = ["BatchMode=yes", "UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "LogLevel=ERROR",
               "ConnectTimeout=10"]  # fmt: skip
    command = ["ssh", "-l", "root", *(f"-o{option}" for option in options), *(["-p", port] if port else []), host, ":"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return "there is no ssh: install openssh-client"
    return done.stderr.strip() or f"ssh ended with {done.returncode}" if done.returncode else ""


def run(address: str, layers: Path, data: dict[str, Any], results: Path) -> int:
    """Run the cases; oe-test's exit status. ``results`` gets its log and testresults.json."""
    results.mkdir(parents=True, exist_ok=True)
    (results / "testdata.json").write_text(json.dumps(data))
    # What the cases ask of the manifest is whether the image is one of ours; the first of them asks the board.
    (results / "manifest").write_text("nvidia-device-plugin all 0\n")
    command = [
        sys.executable, str(layers / "oe-core/scripts/oe-test"), "runtime",
        "--target-type", "simpleremote", "--target-ip", address,
        # No case calls back.
        "--server-ip", "127.0.0.1",
        "--test-data-file", "testdata.json", "--packages-manifest", "manifest",
        "--output-log", "log", "--json-result-dir", str(results),
        "--run-tests", SUITE, "--", str(LIB / "oeqa/runtime/cases"),
    ]  # fmt: skip
    path = os.pathsep.join([str(layers / "bitbake/lib"), str(LIB)])
    return subprocess.run(command, cwd=results, env={**os.environ, "PYTHONPATH": path}, check=False).returncode


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
    parser.add_argument("address", metavar="ADDRESS[:PORT]", help="where the board's SSH server is")
    parser.add_argument("--set", dest="settings", metavar="NAME=VALUE", type=_setting, action="append", default=[])
    parser.add_argument("--testdata", type=Path, metavar="FILE", help="the image's own: NAME.testdata.json beside it")
    parser.add_argument("--layers", type=Path, metavar="DIR", default=LAYERS,
                        help="the folder with the trees oe-core and bitbake (default: %(default)s)")  # fmt: skip
    parser.add_argument("--results", type=Path, metavar="DIR", help="where to leave them (default: a new folder)")
    options = parser.parse_args()
    if missing := missing_trees(options.layers):
        raise HostError(
            f"expected {' and '.join(missing)} in {options.layers}; have kas put the trees there:\n"
            f"       KAS_WORK_DIR={options.layers} kas checkout kas/qemu-x86-64.yml"
        )
    if said := unreachable(options.address):
        raise HostError(
            f"expected root@{options.address} to be let in over SSH; ssh said: {said}\n"
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
