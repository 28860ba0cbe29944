# SPDX-License-Identifier: MIT
"""scripts/bench, as it is called."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from wr_nvidia_k8s.common.paths import TOP


def bench(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(TOP / "scripts/bench"), "--starts", "1", "--calls", "2", "--idle-seconds", "0", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environ)


def test_without_a_program_this_source_tree_is_measured() -> None:
    done = bench("--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["spawn_to_registered_ms_median"] > 0
    assert figures["allocate_us_median"] > 0
    assert ("allocate_go_us_median" in figures) == bool(shutil.which("go"))
    assert figures.get("allocate_go_us_median", 1) > 0


def test_without_go_its_figures_are_left_out(tmp_path: Path) -> None:
    for folder in os.environ["PATH"].split(":"):
        for program in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if program.name != "go" and not (tmp_path / program.name).exists():
                (tmp_path / program.name).symlink_to(program)
    done = bench("--json", environ={**os.environ, "PATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "allocate_us_median" in done.stdout and "allocate_go" not in done.stdout


def test_an_unknown_program_is_one_line() -> None:
    done = bench("--program", "/no/such/program")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: --program: expected a program that can be run, found none at /no/such/program\n"


def test_a_peer_is_measured_in_the_same_run(tmp_path: Path) -> None:
    peer = f"env PYTHONPATH={TOP / 'plugin-src'} {sys.executable} -m nvidia_device_plugin"
    done = bench("--json", "--peer", peer, "--svg", str(tmp_path / "figures.svg"))
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    for name in ("spawn_to_registered_ms_median", "allocate_us_median", "rss_settled_kib"):
        assert figures["ratio"][name] == figures[name] / figures["peer"][name]
    drawing = ElementTree.parse(tmp_path / "figures.svg").getroot()
    assert len([one for one in drawing if one.tag.endswith("rect")]) == 2 * len(figures["peer"])


def test_an_unknown_peer_is_one_line() -> None:
    done = bench("--peer", "/no/such/program --flag")
    assert done.stderr == "error: --peer: expected a program that can be run, found none at /no/such/program\n"
