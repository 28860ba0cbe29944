# SPDX-License-Identifier: MIT
"""How every command ends: with a message or without one, never with a traceback."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys

import pytest

from wr_nvidia_k8s.common.paths import TOP

COMMANDS = sorted((TOP / "scripts/wr_nvidia_k8s/commands").glob("[a-z]*.py"))
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TOP / "scripts")}
WAITS = "try:\n    print('ready', flush=True)\n    signal.pause()\nfinally:\n    print('cleaned up')\n"
WAITS_ASYNC = "asyncio.run(work())\n"


def program(body: str) -> list[str]:
    """A command whose main has this body."""
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    return [sys.executable, "-c", f"""
import asyncio, signal
from wr_nvidia_k8s.common.errors import HostError
from wr_nvidia_k8s.common.main import run_main
async def work():
    try:
        print('ready', flush=True)
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0)
        print('cleaned up')
def main():
{indented}    return 0
run_main(main)
"""]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda path: path.stem)
def test_every_command_ends_in_the_one_way(command: os.PathLike[str]) -> None:
    text = (TOP / command).read_text(encoding="utf-8")
    last = ast.parse(text).body[-1]
    assert isinstance(last, ast.If)
    assert ast.unparse(last.body[0]) == "run_main(main)"


@pytest.mark.parametrize("body", [WAITS, WAITS_ASYNC], ids=["plain", "asyncio"])
@pytest.mark.parametrize(("number", "said"), [
    (signal.SIGINT, "interrupted\n"), (signal.SIGTERM, ""), (signal.SIGHUP, ""),
])  # fmt: skip
def test_interrupted_it_cleans_up(body: str, number: signal.Signals, said: str) -> None:
    process = subprocess.Popen(program(body), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)  # fmt: skip
    assert process.stdout and process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("cleaned up\n", said)
    assert process.returncode == 128 + number


@pytest.mark.parametrize(("body", "code", "said"), [
    ("raise HostError('expected a hammer; buy one')", 69, "error: expected a hammer; buy one\n"),
    ("open('/nonexistent/file')", 1, "error: /nonexistent/file: No such file or directory\n"),
    ("return 3", 3, ""),
])  # fmt: skip
def test_an_error_is_its_message_and_its_exit_code(body: str, code: int, said: str) -> None:
    done = subprocess.run(program(body), env=ENVIRONMENT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, said)


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(program("print('words')"), env=ENVIRONMENT, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
