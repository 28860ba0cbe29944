# SPDX-License-Identifier: MIT
"""Measure the plugin: time until it serves, memory, and response times."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import shutil
from pathlib import Path

from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.common.main import run_main
from wr_nvidia_k8s.lab.bench import measure
from wr_nvidia_k8s.lab.bench_chart import svg


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--program", help="the frozen program; without it, this source tree is measured")
    parser.add_argument("--peer", metavar="COMMAND",
                        help="another device plugin to measure in the same run, with the flags that it needs on a "
                             "Jetson; --driver-root and --kubelet-socket are added. Ratios are the plugin's figures "
                             "over its")
    parser.add_argument("--starts", type=int, default=15)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--idle-seconds", type=float, default=20)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the figures there as well")
    return parser


def main() -> int:
    arguments = _parser().parse_args()
    commands: dict[str, list[str] | None] = {"plugin": [arguments.program] if arguments.program else None}
    if arguments.peer:
        commands["peer"] = shlex.split(arguments.peer)
    for option, command in zip(("--program", "--peer"), commands.values(), strict=False):
        if command and not shutil.which(command[0]):
            raise UserError(f"{option}: expected a program that can be run, found none at {command[0]}")
    programs = {}
    for name, command in commands.items():
        try:
            programs[name] = asyncio.run(measure(command, arguments.starts, arguments.calls, arguments.idle_seconds))
        except asyncio.TimeoutError:
            raise UserError(f"expected {command[0] if command else 'the plugin'} to register with the kubelet, "
                            "it did not; what it said is above") from None
    figures, peer = programs["plugin"], programs.get("peer")
    ratios = {name: figures[name] / peer[name] for name in figures if peer[name]} if peer else {}
    if arguments.svg:
        arguments.svg.write_text(svg(programs), encoding="utf-8")
    if arguments.json:
        print(json.dumps({**figures, **({"peer": peer, "ratio": ratios} if peer else {})}))
        return 0
    for name, value in figures.items():
        line = f"{name:42} {value:10.1f}"
        print(line + (f" {peer[name]:10.1f} {ratios.get(name, 0):8.2f}" if peer else ""))
    return 0


if __name__ == "__main__":
    run_main(main)
