# SPDX-License-Identifier: MIT
"""Real tasks of chosen recipes in real BitBake, up to their packages, with no upstream sources.

The configuration is a board's own, as kas makes it, with tests/bitbake/tasks.yml on top: the release's classes and
its DISTRO stay, almost all of its recipes are masked, and tests/bitbake/stub-layer replaces what this layer's recipes
depend on.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from wr_nvidia_k8s.build import task_sources
from wr_nvidia_k8s.build.bitbake_log import BitbakeLog
from wr_nvidia_k8s.build.kas import LAYERS, OFFLINE, OWN_REPO, KasBuild, missing_trees, read
from wr_nvidia_k8s.common.cache import alone, root, say

CONFIG = "tests/bitbake/tasks.yml"
BOARDS = {"amd64": "tests/bitbake/tasks-qemux86-64.yml", "arm64": "kas/jetson-orin-nano.yml"}
"""By Debian's name of the architecture: the kas configuration that the tasks run in."""
UNUSED_SECONDS = 14 * 24 * 3600.0
STEPS = ("package_qa", "package_write_rpm", "create_spdx")
"""The tasks asked for; BitBake adds all that they need, from do_fetch on."""

_STARTED = re.compile(r"NOTE: Running task \d+ of \d+ \((?P<task>\S+)\)")
_FAILED = re.compile(r"ERROR: Task \((?P<task>\S+)\) failed")
_PLACE = re.compile(r"(?P<virtual>virtual:native:)?(?P<file>/\S+\.bb):do_(?P<step>\w+)")


@dataclass
class Tasks:
    """The result of a build."""

    log: BitbakeLog
    results: Path
    """What BitBake deployed (rpm/, spdx/), and all that it said (output)."""
    started: set[tuple[str, str]] = field(default_factory=set)
    """(recipe, task) without the do_, such as ("nvidia-device-plugin", "package_qa")."""
    failed: set[tuple[str, str]] = field(default_factory=set)

    def succeeded(self, recipe: str, step: str) -> bool:
        """Whether the task ran to its end instead of coming from the shared state."""
        return (recipe, step) in self.started - self.failed

    def complaints(self, recipe: str) -> list[str]:
        """The warnings and errors about ``recipe``."""
        about = re.compile(rf"(?<![\w-]){re.escape(recipe)}(?![a-z]|-[a-z])")
        return [f"{m.level}: {m.text}" for m in self.log.messages if about.search(m.text)]

    def rpms(self, recipe: str) -> list[Path]:
        """The package files of ``recipe`` whose name is its own or begins with it."""
        return sorted(self.results.glob(f"rpm/*/{recipe}-[0-9]*.rpm"))

    def line(self, line: str) -> None:
        """Take in BitBake's next line."""
        self.log.line(line)
        for pattern, found in ((_STARTED, self.started), (_FAILED, self.failed)):
            match = pattern.match(line)
            place = _PLACE.fullmatch(match["task"]) if match else None
            if place:
                recipe = Path(place["file"]).stem.partition("_")[0]
                found.add((recipe + ("-native" if place["virtual"] else ""), place["step"]))


def files(arch: str) -> list[str]:
    """The kas configuration of a build for ``arch``."""
    return [BOARDS[arch], OFFLINE, CONFIG]


def missing(arch: str) -> list[str]:
    """The layer trees that the build needs and that are missing."""
    return missing_trees(read(files(arch)))


def build(arch: str, recipes: Iterable[str], results: Path) -> Tasks:
    """Run `STEPS` of ``recipes`` for ``arch``; a failure does not stop the others.

    Each of these recipes starts from nothing; what they depend on may come from the shared-state cache of a build
    before. What is made goes to the new folder ``results``. Raises what task_sources, kas_build and build_user raise
    where the build cannot start.
    """
    recipes = list(recipes)
    results.mkdir(parents=True)
    state = root() / "tasks" / "build"
    with alone(state / ".lock", "build of our recipes' tasks"):
        kas = KasBuild(state, files(arch))
        _clean(kas, recipes)
        _provide(arch, state, kas)
        targets = " ".join(f"{recipe}:do_{step}" for recipe in recipes for step in STEPS)
        tasks = Tasks(BitbakeLog(), results)
        output = results / "output"
        say(f"running the tasks of this layer's recipes for {arch}; BitBake's output goes to {output}")
        with output.open("w") as stream, kas.popen(f"bitbake -k {targets}") as process:
            assert process.stdout is not None  # noqa: S101  (Popen's type says less than its arguments)
            for line in process.stdout:
                stream.write(line)
                tasks.line(line)
                if line.startswith("ERROR: ") or re.match(r"NOTE: Running (noexec )?task \d*00 of", line):
                    sys.stderr.write(line)
        # The next build makes way for itself.
        for name in ("rpm", "spdx"):
            if (deployed := _machine_folder(kas) / "deploy" / name).is_dir():
                shutil.copytree(deployed, results / name, symlinks=True)
    return tasks


def _machine_folder(kas: KasBuild) -> Path:
    """TMPDIR, as tests/bitbake/tasks.yml has it."""
    return kas.directory / f"tmp-{kas.config['machine']}"


def _clean(kas: KasBuild, recipes: Iterable[str]) -> None:
    """Delete everything but the shared state of the dependencies of ``recipes``, and that too once it is outdated."""
    # Tens of thousands of files: rm is several times faster than shutil.
    subprocess.run(["rm", "-rf", str(_machine_folder(kas))], check=True)
    for path in (kas.directory / "sstate-cache").rglob("sstate:*"):
        # BitBake renews the time stamp of what it uses.
        if path.name.split(":")[1] in recipes or time.time() - path.stat().st_mtime > UNUSED_SECONDS:
            path.unlink()


def _provide(arch: str, state: Path, kas: KasBuild) -> None:
    """Put the recipes' sources where tests/bitbake/tasks.yml expects them."""
    sources = {"downloads": task_sources.sdists(_recipe_files(kas))}
    # The build machine's own Python is a stand-in too.
    sources.update({f"debs/{each}": task_sources.debs(each) for each in {"amd64", arch}})
    for name, source in sources.items():
        shutil.rmtree(state / name, ignore_errors=True)
        shutil.copytree(source, state / name)
    # BitBake notes in DL_DIR what it has checked.
    kas.user.own(state / "downloads")


def _recipe_files(kas: KasBuild) -> list[Path]:
    """The recipes that are not masked: some of the release, and all of this layer."""
    mask = re.compile("|".join(re.findall(r"\s(/\S+)", kas.config["local_conf_header"]["tasks-mask"])))
    layers = (
        LAYERS / ((repo or {}).get("path") or name) / layer
        for name, repo in kas.config["repos"].items()
        for layer, use in (((repo or {}).get("layers") or {".": None}).items())
        if use != "disabled" and name != OWN_REPO
    )
    found = [path for layer in layers for path in layer.glob("**/*.bb") if not mask.search(str(path))]
    own = [path for folder in task_sources.OWN_RECIPES for path in folder.rglob("*.bb")]
    return [*found, *own]
