# SPDX-License-Identifier: MIT
"""What is made once is made whole, by one process, and made anew only when what it is made from changes."""

import select
import subprocess
import sys
from pathlib import Path

import pytest

from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.cache import Cached
from wr_nvidia_k8s.common.paths import TOP


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "wr-nvidia-k8s" / "kind"


def fill(folder: Path) -> None:
    (folder / "content").write_text("made")


def fail(folder: Path) -> None:
    (folder / "half").write_text("made")
    raise RuntimeError("no network")


def never(folder: Path) -> None:
    raise AssertionError("expected it not to be made again")


def test_it_is_made_once_for_the_same_inputs(tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.write_text("1")
    first = Cached("kind", "text", inputs).get(fill)
    assert (first / "content").read_text() == "made"
    assert Cached("kind", "text", inputs).get(never) == first
    inputs.write_text("2")
    assert Cached("kind", "text", inputs).get(fill) != first
    assert Cached("kind", "other", inputs).get(fill) != first


def test_a_failure_leaves_nothing_that_looks_made(home: Path) -> None:
    with pytest.raises(RuntimeError):
        Cached("kind", "text").get(fail)
    assert not Cached("kind", "text").exists
    assert not (Cached("kind", "text").get(fill) / "half").exists()


def test_a_failed_refresh_keeps_the_old_one() -> None:
    made = Cached("kind", "text").get(fill)
    with pytest.raises(RuntimeError):
        Cached("kind", "text").get(fail, refresh=True)
    assert (made / "content").exists()
    (made / "content").write_text("old")
    assert (Cached("kind", "text").get(fill, refresh=True) / "content").read_text() == "made"


def test_only_the_ones_used_last_are_kept(home: Path) -> None:
    made = [Cached("kind", str(number)).get(fill) for number in range(cache.KEEP + 2)]
    assert [path.exists() for path in made] == [False, False] + [True] * cache.KEEP


def test_two_processes_make_it_once(home: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from wr_nvidia_k8s.common.cache import Cached\n"
        "def make(folder):\n"
        f"    open({str(tmp_path / 'made')!r}, 'a').write('x')\n"
        "    (folder / 'content').write_text('made')\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "Cached('kind', 'shared').get(make)\n"
    )
    scripts = str(TOP / "scripts")
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                         env={"PYTHONPATH": scripts, "XDG_CACHE_HOME": str(tmp_path)})
        for _ in range(3)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        process.communicate("\n")
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert (tmp_path / "made").read_text() == "x"


def test_who_waits_is_told_for_what(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from wr_nvidia_k8s.common import cache\n"
        f"with cache.alone(Path({str(tmp_path / 'folder' / 'lock')!r}), 'check of it'):\n"
        "    print('held', flush=True)\n"
    )
    with cache.alone(tmp_path / "folder" / "lock", "check of it"):
        other = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"PYTHONPATH": str(TOP / "scripts")},
        )  # fmt: skip
        assert other.stderr is not None
        assert select.select([other.stderr], [], [], 30)[0], "expected it to say that it waits"
        assert other.stderr.readline() == "waiting for another check of it\n"
    assert other.communicate() == ("held\n", "")
