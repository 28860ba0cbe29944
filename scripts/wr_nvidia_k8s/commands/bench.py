# SPDX-License-Identifier: MIT
"""Figures of the plugin: how soon it serves, what it weighs, how quickly it answers."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from wr_nvidia_k8s.lab.bench import measure


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--program", help="the frozen program; without it, this source tree is measured")
    parser.add_argument("--starts", type=int, default=15)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--idle-seconds", type=float, default=20)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    command = [arguments.program or sys.executable, *([] if arguments.program else ["-m", "nvidia_device_plugin"])]
    figures = asyncio.run(measure(command, arguments.starts, arguments.calls, arguments.idle_seconds))
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:42} {value:10.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
