# SPDX-License-Identifier: MIT
"""The plugin at work on a simulated Jetson, step by step."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import shlex
import signal
from pathlib import Path

from wr_nvidia_k8s.common.errors import HostError, UserError
from wr_nvidia_k8s.common.main import run_main
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.common.process import run
from wr_nvidia_k8s.common.scratch import temporary
from wr_nvidia_k8s.lab import nodes
from wr_nvidia_k8s.lab.jetson import BOARDS, lay_out
from wr_nvidia_k8s.lab.kubelet.standin import AdmissionError
from wr_nvidia_k8s.lab.plugin import PluginProcess

FILES = TOP / "recipes-containers" / "nvidia-device-plugin" / "files"
GPU = "nvidia.com/gpu"


class StepError(UserError):
    """A step failed."""


class Story:
    """Numbers the steps, and remembers the current one."""

    def __init__(self) -> None:
        self.step = "starting"
        self._number = 0

    def begin(self, step: str) -> None:
        self.step = step
        self._number += 1
        print(f"\n{self._number}. {step}", flush=True)

    def tell(self, text: str) -> None:
        print(f"   {text}", flush=True)


def service_command(program: Path) -> list[str]:
    """The unit's ExecStart with the frozen program and this checkout's configuration in their places."""
    unit = (FILES / "nvidia-device-plugin.service").read_text(encoding="utf-8")
    match = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    if not match:
        raise StepError("expected ExecStart= in the unit, found none")
    arguments = shlex.split(match[1])[1:]
    installed = "/etc/nvidia-device-plugin/config.yaml"
    return [str(program), *(word.replace(installed, str(FILES / "config.yaml")) for word in arguments)]


async def freeze(folder: Path) -> Path:
    """Freeze the plugin into `folder`; returns the program."""
    machine = run(["dpkg", "--print-architecture"]).strip()
    command = [str(TOP / "scripts" / "freeze"), "--arch", machine, "--output", str(folder)]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        code = await process.wait()
    except BaseException:  # interrupted: it has its own to clean up
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        raise
    if code:
        raise StepError(f"scripts/freeze ended with {code}; its last lines above say why")
    return folder / "nvidia-device-plugin" / "nvidia-device-plugin"


async def tell(scratch: Path, board: str, keep: bool, story: Story) -> None:
    """The whole story, in a folder that the caller removes."""
    node = nodes.best(scratch)
    story.begin("Freeze the plugin into one folder that needs no Python, as the image's recipe does")
    program = await freeze(scratch / "frozen")
    story.tell(f"{program.parent.name}/: {sum(file.stat().st_size for file in program.parent.rglob('*')) >> 20} MiB")

    story.begin(f"Lay out a simulated {BOARDS[board].model}")
    root = lay_out(scratch / "board", board)

    story.begin(f"Start {node.name}")
    async with node:
        story.begin("Start the plugin as its service does")
        async with PluginProcess(scratch, "--driver-root", str(root), "--kubelet-socket", str(node.socket),
                                 command=service_command(program),
                                 on_line=lambda line: story.tell(f"journal | {line[3:]}")) as plugin:
            await plugin.wait_log("Registered device plugin")
            await plugin.wait_notified("READY=1")
            await show(node, plugin, story)
            if keep:
                story.begin("Kept running, until Ctrl-C")
                story.tell(f"board    {root}")
                story.tell(f"kubelet  {node.socket}")
                story.tell(f"plugin   process {plugin.process.pid}; kill -HUP makes it read its configuration again")
                await until_interrupted()
            story.begin("Stop the plugin")
            code = await plugin.end(signal.SIGTERM)
            if code:
                raise StepError(f"expected exit code 0 after SIGTERM, found {code}")


async def show(node: nodes.Node, plugin: PluginProcess, story: Story) -> None:
    """Show what a GPU node does: one pod gets the device, the next waits, and a kubelet restart changes nothing."""
    story.begin("What the node offers")
    await node.has(GPU, 1)
    story.tell(f"{GPU}: 1")

    story.begin(f"A pod with {GPU}: 1")
    variables = await node.run_pod("first", GPU)
    story.tell(f"runs, and its container gets {variables}")
    if variables.get("NVIDIA_VISIBLE_DEVICES") != "0":
        raise StepError(f"expected NVIDIA_VISIBLE_DEVICES=0 in the container, found {variables}")

    story.begin("A second one while the first has the device")
    try:
        raise StepError(f"expected the pod to be refused, it got {await node.run_pod('second', GPU)}")
    except AdmissionError as error:
        story.tell(f"refused: {error}")

    story.begin("The kubelet restarts, and wipes the plugin's socket as it does")
    await node.restart()
    await plugin.wait_log("Registered device plugin", count=2)
    await node.has(GPU, 1)
    story.tell(f"{GPU}: 1 again")

    story.begin("The first pod ends, another takes its turn")
    await node.remove_pod("first")
    story.tell(f"third runs and gets {await node.run_pod('third', GPU)}")


async def until_interrupted() -> None:
    """Return at SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/quickstart", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Show the device plugin at work on a simulated Jetson: no board, no cluster, nothing left behind.",
        epilog="exit codes: 0 every step succeeded; 1 a step failed, and the last lines say which and why;\n"
               "69 this machine lacks something, such as a TMPDIR that can be used; 130 interrupted")
    parser.add_argument("--board", choices=sorted(BOARDS), default="jetson-orin-nano")
    parser.add_argument("--keep", action="store_true", help="leave it running afterwards, until Ctrl-C")
    arguments = parser.parse_args()
    story = Story()
    with temporary("wr-quickstart-", nodes.SOCKET_BYTES) as scratch:
        try:
            asyncio.run(tell(scratch, arguments.board, arguments.keep, story))
        except HostError:  # said before the first step
            raise
        except (UserError, asyncio.TimeoutError, OSError) as error:
            raise StepError(f"FAILED at: {story.step}\n{str(error) or 'no answer in time'}") from error
    print("\nEvery step succeeded. Next: README.md, Build and flash.")
    return 0


if __name__ == "__main__":
    run_main(main)
