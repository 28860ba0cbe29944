# SPDX-License-Identifier: MIT
"""Check that an image can be built: BitBake parses it with no complaint about this layer, and resolves its tasks.

No source is downloaded and nothing is built, so it needs no network where the layer trees are laid out.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wr_nvidia_k8s.build.bitbake_log import BitbakeLog
from wr_nvidia_k8s.build.kas import OFFLINE, OWN_REPO, KasBuild
from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.paths import TOP

# Tasks come by the thousand, and one line in so many seconds is enough to follow them; a parse says nothing at all.
PROGRESS_SECONDS = 15.0

# A recipe from the parse cache warns of nothing, so that a second run would pass: parse ours, and those that we
# append to, each time.
PARSE_OURS_AGAIN = f"""
BB_DONT_CACHE = "${{@'1' if '/{OWN_REPO}/' in '%s %s' % (d.getVar('FILE'), d.getVar('__BBAPPEND')) else ''}}"
"""


@dataclass
class Result:
    """What a check found; ``problems`` is empty when the image can be built."""

    image: str
    log: BitbakeLog
    seconds: dict[str, float]
    problems: list[str]

    def as_dict(self) -> dict[str, Any]:
        """The form of ``--json``."""
        return {
            "image": self.image,
            "ok": not self.problems,
            "problems": self.problems,
            "recipes": self.log.recipes,
            "variants": self.log.variants,
            "tasks": self.log.attempted,
            "built": sorted(self.log.built),
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }


class _Progress:
    """Reports progress on stderr every `PROGRESS_SECONDS`."""

    def __init__(self, doing: str) -> None:
        self.now = doing
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(PROGRESS_SECONDS):
            print(f"{time.monotonic() - self._started:4.0f} s: {self.now}", file=sys.stderr, flush=True)


def own_names() -> list[str]:
    """The words that tie a message to this layer: its name, its recipes and classes, and the recipes it appends to."""
    folders = [TOP / "recipes-containers", TOP / "meta-wr-nvidia-k8s"]
    files = [path for folder in folders for path in folder.rglob("*.bb*")]
    return [OWN_REPO, OWN_REPO.removeprefix("meta-"), *sorted({path.stem.split("_")[0] for path in files})]


def _run(build: KasBuild, arguments: str, log: BitbakeLog, doing: str) -> int:
    """Run BitBake, its output to `log` and stderr; returns its exit status."""
    with build.bitbake(arguments) as process, _Progress(doing) as progress:
        for line in process.stdout or ():
            log.line(line)
            if line.startswith("NOTE: Running "):
                progress.now = line.rstrip()
            else:
                sys.stderr.write(line)
    return process.returncode


def check(image: str, depth: str, include: Sequence[str] = ()) -> Result:
    """Run BitBake on ``image`` (the NAME of kas/NAME.yml), to the ``depth`` "parse", "graph" or "dry_run".

    ``include`` names fragments of kas/include/ to add. BitBake's output goes to stderr. Raises `KasError`
    or `BuildUserError` if it cannot start.
    """
    state = cache.root() / "check-image" / "_".join([image, *include])
    # A build directory has room for one BitBake.
    with cache.alone(state.with_name(f".{state.name}.lock"), f"check of {image}"):
        files = [f"kas/{image}.yml", *(f"kas/include/{name}.yml" for name in include), OFFLINE]
        return _check(KasBuild(state, files, {"check-image": PARSE_OURS_AGAIN}), image, depth)


def _check(build: KasBuild, image: str, depth: str) -> Result:
    log, seconds = BitbakeLog(), {}
    started = time.monotonic()
    status = _run(build, "-p", log, "parsing recipes")
    seconds["parse"] = time.monotonic() - started
    if depth != "parse" and status == 0:
        started = time.monotonic()
        targets = " ".join(build.targets)
        if depth == "dry_run":
            status = _run(build, f"-n {targets}", log, "resolving tasks")
        else:
            status = _run(build, f"-g {targets}", log, "resolving tasks") or _graph(build, log)
        seconds[depth] = time.monotonic() - started
    return Result(image, log, seconds, _problems(log, status, depth))


def _graph(build: KasBuild, log: BitbakeLog) -> int:
    """Read the graph that ``bitbake -g`` wrote, and run one empty task of each of this layer's recipes.

    A dry run parses a recipe anew for each task and finds metadata that is not the same twice (a time, a random
    number), whose tasks would never be taken from the shared state. One task of a recipe is enough for that.
    """
    graph = BitbakeLog()
    ours = graph.graph((build.directory / "task-depends.dot").read_text(), f"/{OWN_REPO}/")
    log.total, log.built = graph.total, graph.built
    again = BitbakeLog()
    status = _run(build, f"-n -c listtasks {' '.join(sorted(ours))}", again, "parsing our recipes again")
    log.messages += again.messages
    log.attempted = log.total if again.attempted == len(ours) else None
    return status


def _problems(log: BitbakeLog, status: int, depth: str) -> list[str]:
    problems = [f"{message.level.lower()}: {message.text}" for message in log.errors]
    ours = log.warnings_naming(own_names(), besides=cache.root())
    problems += [f"warning about this layer: {message.text}" for message in ours]
    if problems:
        return list(dict.fromkeys(problems))
    if log.parse_errors:
        return [f"expected every recipe to parse, found {log.parse_errors} that did not"]
    if log.recipes is None:
        return ["expected BitBake to parse all recipes, but it ended before that"]
    if depth != "parse" and (not log.attempted or log.attempted != log.total):
        return [f"expected every task to resolve, found {log.attempted} of {log.total} resolved"]
    return [f"expected BitBake's exit status to be 0, found {status}"] if status else []
