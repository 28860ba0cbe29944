# SPDX-License-Identifier: MIT
"""scripts/freeze as a user meets it, save the freezing itself (test_arm64.py, tests/plugin/test_frozen.py)."""

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.freeze import freezer, parts
from wr_nvidia_k8s.freeze.parts import ARCHES, PLUGIN

TOP = Path(__file__).resolve().parents[2]
COMMAND = TOP / "scripts/freeze"


@pytest.mark.parametrize(("arguments", "message"), [
    (["--arch", "mips", "--output", "/tmp/x"], "invalid choice: 'mips' (choose from 'amd64', 'arm64')"),
    (["--arch", "amd64"], "the following arguments are required: --output"),
])  # fmt: skip
def test_wrong_usage(arguments: list[str], message: str) -> None:
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_help_is_for_stdout() -> None:
    done = subprocess.run([COMMAND, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for option in ("--arch {amd64,arm64}", "--output DIR", "--refresh", "--json", "Exit status:"):
        assert option in done.stdout


def test_without_a_mirror_it_says_so_and_changes_nothing(tmp_path: Path) -> None:
    """An empty cache, and an apt that cannot reach anything."""
    settings = tmp_path / "apt.conf"
    settings.write_text('Acquire::http::Proxy "http://127.0.0.1:9";\nAcquire::https::Proxy "http://127.0.0.1:9";\n')
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "APT_CONFIG": str(settings)}
    output = tmp_path / "output"
    command = [str(COMMAND), "--arch", "amd64", "--output", str(output)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == os.EX_UNAVAILABLE
    assert "expected a Debian mirror to be reachable" in done.stderr
    assert not output.exists()
    assert "Traceback" not in done.stderr


def test_the_plugin_is_built_from_its_sources_only(tmp_path: Path) -> None:
    names = {str(path.relative_to(PLUGIN)) for path in parts.plugin_sources()}
    assert {"setup.py", "proto/deviceplugin_v1beta1.proto", "nvidia_device_plugin/cli.py"} <= names
    assert [name for name in names if "_pb2" in name or "__pycache__" in name or name == "freeze.json"] == []


def test_a_cross_compiler_is_asked_for_where_one_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    foreign = next(arch for arch in ARCHES.values() if not arch.native)
    assert f"gcc-{foreign.triplet.replace('_', '-')}" in parts.needed_packages(foreign)
    native = next(arch for arch in ARCHES.values() if arch.native)
    assert parts.needed_packages(native) == ["python3-venv", "binutils", "gcc", "libc6-dev"]


def a_file(output: Path) -> None:
    output.write_text("mine")


def below_a_file(output: Path) -> None:
    output.parent.write_text("mine")


def something_else(output: Path) -> None:
    (output / freezer.NAME).mkdir(parents=True)
    (output / freezer.NAME / "mine").write_text("mine")


def a_link(output: Path) -> None:
    output.mkdir(parents=True)
    (output / freezer.NAME).symlink_to("/usr")


@pytest.mark.parametrize(("prepare", "message"), [
    (a_file, "expected a folder, or nothing yet, found a file"),
    (below_a_file, "expected a folder, or nothing yet, found a file"),
    (something_else, "found something else, which would be lost"),
    (a_link, "found something else, which would be lost"),
])  # fmt: skip
def test_an_output_that_would_lose_something_is_refused(
    tmp_path: Path, prepare: Callable[[Path], None], message: str
) -> None:
    output = tmp_path / "parent" / "output"
    if prepare is a_file:
        output.parent.mkdir()
    prepare(output)
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    # An empty cache: to be refused so soon, nothing may have been made.
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [str(COMMAND), "--arch", "amd64", "--output", str(output)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == os.EX_CANTCREAT
    assert done.stderr.startswith("error: --output: ")
    assert message in done.stderr
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_an_output_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    done = subprocess.run([COMMAND, "--arch", "amd64", "--output", "/proc/here"], capture_output=True, text=True)
    assert done.returncode == os.EX_CANTCREAT
    assert "expected a folder that can be written to, found /proc" in done.stderr


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A cache of its own that has the parts of the user's, so that a freeze takes seconds."""
    native = next(arch for arch in ARCHES.values() if arch.native)
    freezer.configuration(native, tmp_path, tmp_path)
    own = tmp_path / "cache" / "wr-nvidia-k8s" / "freeze"
    own.mkdir(parents=True)
    for name in ("tools", "bootloader", "sysroot", "plugin"):
        (own / name).symlink_to(cache.root() / "freeze" / name)
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "ARCH": native.debian}


def start(environment: dict[str, str], output: Path, *wrapper: str) -> subprocess.Popen[str]:
    command = [*wrapper, str(COMMAND), "--arch", environment["ARCH"], "--output", str(output)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def begin(environment: dict[str, str], output: Path, *wrapper: str) -> subprocess.Popen[str]:
    """A freeze that has begun to freeze."""
    process = start(environment, output, *wrapper)
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("freeze: freezing for"):
            return process
    raise AssertionError("".join(said))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_running_or_lying_about(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    process = begin(environment, tmp_path / "output")
    process.send_signal(number)
    # Each process that it started has this pipe open, so it ends with the last of them.
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert error == ("interrupted\n" if number == signal.SIGINT else "")
    assert not (tmp_path / "output").exists()
    scratch = tmp_path / "cache/wr-nvidia-k8s/freeze/scratch"
    assert [path.name for path in scratch.iterdir()] == [".lock"]


def test_two_freezes_at_once_in_pid_namespaces_of_their_own(tmp_path: Path, environment: dict[str, str]) -> None:
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("the right to make a PID namespace: run this as root")
    # The second one waits for the first one's result; neither takes the other for a leftover.
    processes = [begin(environment, tmp_path / "output", *unshare), start(environment, tmp_path / "output", *unshare)]
    for process in processes:
        _, error = process.communicate(timeout=600)
        assert process.returncode == 0, error
    assert [path.name for path in (tmp_path / "output").iterdir()] == [freezer.NAME]
    program = tmp_path / "output" / freezer.NAME / freezer.NAME
    assert subprocess.run([program, "--help"], capture_output=True).returncode == 0


def test_what_is_made_of_the_same_is_frozen_once(tmp_path: Path) -> None:
    top = tmp_path / "checkout"
    shutil.copytree(TOP, top, symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__", ".*_cache", "build"))

    def freeze(checkout: Path, name: str) -> tuple[str, dict[str, bytes]]:
        output = tmp_path / name
        command = [str(checkout / "scripts/freeze"), "--arch", "amd64", "--output", str(output)]
        done = subprocess.run(command, capture_output=True, text=True)
        if "Debian packages are missing" in done.stderr:
            pytest.skip("Debian packages for freezing: scripts/freeze names them")
        assert done.returncode == 0, done.stderr
        files = [path for path in output.rglob("*") if path.is_file()]
        return done.stderr, {str(path.relative_to(output)): path.read_bytes() for path in files}

    _, first = freeze(TOP, "first")
    said, second = freeze(top, "second")
    assert "freezing for" not in said
    assert first == second
    with (top / "plugin-src/nvidia_device_plugin/__init__.py").open("a") as source:
        source.write(f"# {uuid.uuid4()}\n")  # what nobody froze before, in whatever cache is there
    said, _ = freeze(top, "third")
    assert "freezing for amd64" in said
