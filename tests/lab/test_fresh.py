# SPDX-License-Identifier: MIT
"""scripts/test --fresh: what its Debian sees of this machine, and that nothing is left of it.

debootstrap is stood in for by a few of this machine's own programs, which saves a minute and the network. That the
suite passes in a real one is for scripts/test --fresh itself to show.
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.lab.room.room import unavailable

PROGRAMS = ("bash", "cat", "env", "ls", "sh", "sleep", "touch", "umount")
DEBOOTSTRAP = f"""#!/bin/bash
set -eu
[ "$1" = --variant=minbase ] && [ "$2" = bookworm ]
new=$3
mkdir -p "$new"/{{bin,dev,etc/apt/apt.conf.d,etc/apt/sources.list.d,mnt,proc,root,run,sys,tmp}}
for program in {" ".join(PROGRAMS)}; do
    cp "$(command -v "$program")" "$new/bin"
    ldd "$(command -v "$program")" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$new$(dirname "$library")"
        cp -n "$library" "$new$library"
    done
done
"""
# What is run in the Debian is named by the arguments.
OWNER = """
import signal, sys
from wr_nvidia_k8s.lab import fresh
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
sys.exit(fresh.run(sys.argv[1:]))
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "wr-nvidia-k8s"


@pytest.fixture
def start(tmp_path: Path, cached: Path) -> Start:
    """Start a command in the Debian, on a machine with one layer tree that shares its objects with another place."""
    if reason := unavailable():
        pytest.skip(reason)
    objects = tmp_path / "elsewhere" / "objects"
    objects.mkdir(parents=True)
    (objects / "object").write_text("of the layer")
    info = cached / "layers" / "oe-core" / ".git" / "objects" / "info"
    info.mkdir(parents=True)
    (info / "alternates").write_text(f"{objects}\n")
    (cached / "venv").mkdir()
    standin = tmp_path / "bin" / "debootstrap"
    standin.parent.mkdir()
    standin.write_text(DEBOOTSTRAP)
    standin.chmod(0o755)

    def run(*command: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", OWNER, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PATH": f"{standin.parent}:{os.environ['PATH']}", "PYTHONPATH": str(TOP / "scripts"),
                 "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment},
        )  # fmt: skip

    return run


def commands() -> Iterator[tuple[int, list[str]]]:
    """The command lines of this machine's processes."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield int(process.name), (process / "cmdline").read_text().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue


def traces(cached: Path) -> list[str]:
    """What is left on the machine."""
    name = str(cached / "fresh")
    found = [str(path) for path in (cached / "fresh").iterdir()]
    found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if name in line]
    return found + [" ".join(words) for _, words in commands() if any(name in word for word in words)]


def test_it_has_a_clean_checkout_and_of_the_cache_what_cannot_be_fetched(
    start: Start, cached: Path, tmp_path: Path
) -> None:
    script = (
        f"set -e; ls; ls /root/.cache/wr-nvidia-k8s; cat {tmp_path}/elsewhere/objects/object; "
        "touch /root/.cache/wr-nvidia-k8s/layers/written; exit 7"
    )
    process = start("bash", "-c", script)
    out, error = process.communicate()
    assert process.returncode == 7, error
    tracked = subprocess.run(["git", "-C", TOP, "ls-files"], capture_output=True, text=True, check=True).stdout
    top = {name.split("/")[0] for name in tracked.splitlines() if not name.startswith(".")}
    assert set(out.splitlines()) == top | {"layers", "of the layer"}
    assert "wr-nvidia-k8s/sources is not there" in error
    assert not (cached / "layers" / "written").exists()
    assert traces(cached) == []


def test_it_reaches_the_network_as_this_machine_does(start: Start, tmp_path: Path) -> None:
    certificate = tmp_path / "authority.pem"
    certificate.write_text("a certificate")
    settings = tmp_path / "apt.conf"
    settings.write_text('Acquire::http::Proxy "http://proxy.invalid:3128";\nAPT::Install-Suggests "true";\n')
    config = tmp_path / "config" / "pip"
    config.mkdir(parents=True)
    (config / "pip.conf").write_text("[global]\nindex-url = https://index.invalid\n")
    files = "/root/.config/pip/pip.conf /etc/apt/apt.conf.d/* $PIP_CERT /etc/apt/sources.list.d/*"
    script = f"cat {files}; echo $https_proxy $OTHER"
    process = start(
        "bash", "-c", script, https_proxy="http://proxy.invalid", PIP_CERT=str(certificate), OTHER="other",
        APT_CONFIG=str(settings), XDG_CONFIG_HOME=str(config.parent),
    )  # fmt: skip
    out, error = process.communicate()
    assert process.returncode == 0, error
    for words in ("https://index.invalid", "http://proxy.invalid:3128", "a certificate", "Suites: bookworm\n"):
        assert words in out
    assert out.endswith("\nhttp://proxy.invalid\n")
    assert "Suggests" not in out


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_interrupted_it_leaves_nothing(name: str, start: Start, cached: Path) -> None:
    process = start("sh", "-c", "echo started; sleep 3600")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    (scratch,) = (cached / "fresh").iterdir()
    (keeper,) = (
        pid for pid, words in commands() if str(scratch) in words and any("keeper.py" in word for word in words)
    )
    ended = os.pidfd_open(keeper)
    process.send_signal(signal.Signals[name])
    process.communicate()
    assert process.returncode != 0
    assert select.select([ended], [], [], 60)[0], "expected the keeper to clean up and end"
    os.close(ended)
    assert traces(cached) == []


def test_what_cannot_be_had_is_said(start: Start, tmp_path: Path, cached: Path) -> None:
    (tmp_path / "bin" / "debootstrap").write_text("#!/bin/sh\necho no mirror\nexit 3\n")
    process = start("true")
    _, error = process.communicate()
    assert process.returncode != 0
    assert "debootstrap ended with 3:\nno mirror" in error
    assert traces(cached) == []
