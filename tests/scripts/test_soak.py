# SPDX-License-Identifier: MIT
"""scripts/soak, as it is called: a short one, and that it tells what a plugin does wrong."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wr_nvidia_k8s.common.paths import TOP

PLUGIN = TOP / "plugin-src"
# No test waits for a machine to be fast.
PATIENT = ["--stall-seconds", "60", "--json"]


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(TOP / "scripts/soak"), *PATIENT, *arguments], capture_output=True, text=True)


def test_a_short_one_finds_nothing_wrong() -> None:
    done = soak("--restarts", "30", "--requests", "5000", "--hours", "0.5")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failures"] == []
    assert [found["figures"][f"{phase}_count"] for phase in ("restart", "ask", "reload")] == [30, 5000, 30]
    assert "restart: 30 of 30" in done.stderr


BREAKS = {
    "keeps a descriptor of each registration": (
        ["--restarts", "30"], "import os; import nvidia_device_plugin.kubelet.registrar as registrar\n"
        "real = registrar._register\nasync def keep(*a):\n    os.dup(1)\n    return await real(*a)\n"
        "registrar._register = keep",
        "restart: expected at most"),
    "answers nonsense with an error of its own": (
        ["--requests", "500"], "import nvidia_device_plugin.allocation.request as request\nrequest.check = "
        "lambda *a: 1 / 0", "was answered UNKNOWN"),
    "loses its GPU at the second reload": (
        ["--hours", "0.1"], "import nvidia_device_plugin.daemon.process as process\nplan, calls = process.plan, []\n"
        "process.plan = lambda *a: calls.append(a) or (plan(*a) if len(calls) < 3 else {})", "reload: "),
}


@pytest.mark.parametrize("what", BREAKS)
def test_it_tells_of_a_plugin_that(what: str, tmp_path: Path) -> None:
    counts, code, words = BREAKS[what]
    program = tmp_path / "plugin"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(PLUGIN)!r})\n{code}\n"
                       "from nvidia_device_plugin.cli import main\nsys.exit(main())\n")
    program.chmod(0o755)
    done = soak("--program", str(program), "--restarts", "0", "--requests", "0", "--hours", "0", *counts)
    assert done.returncode == 1
    assert words in done.stderr
    assert any(words in failure for failure in json.loads(done.stdout)["failures"])


def test_an_unknown_program_is_one_line() -> None:
    done = soak("--program", "/no/such/program")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: --program: expected a program that can be run, found none at /no/such/program\n"


# Runs a command with the signals as at a terminal, whatever this process ignores.
DEFAULT = ("import os, signal, sys; [signal.signal(number, signal.SIG_DFL) for number in "
           "(signal.SIGINT, signal.SIGHUP)]; os.execv(sys.argv[1], sys.argv[1:])")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_ends_with_all_that_it_started(number: signal.Signals) -> None:
    command = [sys.executable, "-c", DEFAULT, str(TOP / "scripts/soak"), "--restarts", "100000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            if "descriptors" in line or "seed" in line:
                break
        process.send_signal(number)
        said = process.stderr.read()  # until whoever has inherited it is gone as well
    assert process.returncode == 128 + number
    assert "Traceback" not in said and "Error" not in said
