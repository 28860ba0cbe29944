# SPDX-License-Identifier: MIT
"""Measure the plugin: time until it serves, memory, and response times."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil

from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.common.main import run_main
from wr_nvidia_k8s.lab.bench import measure


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--program", help="the frozen program; without it, this source tree is measured")
    parser.add_argument("--starts", type=int, default=15)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--idle-seconds", type=float, default=20)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    if arguments.program and not shutil.which(arguments.program):
        raise UserError(f"--program: expected a program that can be run, found none at {arguments.program}")
    command = [arguments.program] if arguments.program else None
    try:
        figures = asyncio.run(measure(command, arguments.starts, arguments.calls, arguments.idle_seconds))
    except asyncio.TimeoutError:
        raise UserError(f"expected {arguments.program or 'the plugin'} to register with the kubelet, "
                        "it did not; what it said is above") from None
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:42} {value:10.1f}")
    return 0


if __name__ == "__main__":
    run_main(main)
