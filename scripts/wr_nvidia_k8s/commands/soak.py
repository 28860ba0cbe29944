# SPDX-License-Identifier: MIT
"""Run the plugin through kubelet restarts, requests of any kind and reloads, and see that it loses nothing."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.common.main import SIGNALLED, run_main
from wr_nvidia_k8s.lab.soak import RELOADS_PER_HOUR, Plan, Result, soak


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/soak", description=(__doc__ or "").split("\n", 1)[0],
        epilog="It fails where a registration is lost, where a registration or an answer takes longer than the stall "
               "that is allowed, where descriptors or memory grow, and where the log has a traceback. Exit codes: 0 "
               "nothing of that happened; 1 something did, and is named. The defaults take about a quarter of an hour.")
    parser.add_argument("--program", help="the frozen program; without it, this source tree's")
    parser.add_argument("--restarts", type=int, default=1000, metavar="N",
                        help="kubelets that start, with delays between unlink, bind and listen, and after others that "
                             "never answer, answer garbage or reset (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=1_000_000, metavar="N",
                        help="requests, most of them wrong in some way (default: %(default)s)")
    parser.add_argument("--hours", type=float, default=24, metavar="N",
                        help=f"simulated hours of reloads, {RELOADS_PER_HOUR} each (default: %(default)s)")
    parser.add_argument("--stall-seconds", type=float, default=1, metavar="N",
                        help="the longest that a registration or an answer may take (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="repeat the random choices of the run that printed it")
    parser.add_argument("--json", action="store_true", help="print figures and failures as JSON")
    return parser


def main() -> int:
    arguments = _parser().parse_args()
    if arguments.program and not shutil.which(arguments.program):
        raise UserError(f"--program: expected a program that can be run, found none at {arguments.program}")
    seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    plan = Plan(arguments.restarts, arguments.requests, arguments.hours, arguments.stall_seconds, seed)
    result = asyncio.run(_until_a_signal(soak([arguments.program] if arguments.program else None, plan, _say), seed))
    if arguments.json:
        print(json.dumps({"seed": seed, "figures": result.figures, "failures": result.failures}))
    else:
        for name, value in result.figures.items():
            print(f"{name:42} {value:12.1f}")
    for failure in result.failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if result.failures else 0


async def _until_a_signal(work: Coroutine[Any, Any, Result], seed: int) -> Result:
    """What the work gives; a signal has it clean up first. An exception in the midst of gRPC's code would crash it."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    came: list[int] = []

    def stop(number: int) -> None:
        came.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup(1)
            loop.add_signal_handler(number, stop, number)
    _say(f"seed {seed}")
    try:
        return await task
    except asyncio.CancelledError:
        if came:
            raise SystemExit(SIGNALLED + came[0]) from None
        raise


def _say(text: str) -> None:
    print(f"soak: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_main(main)
