# SPDX-License-Identifier: MIT
"""A kas configuration, and a build directory of it in which an ordinary user runs BitBake.

kas writes into the layer trees (git's remote, index and branch), and a root-only cache belongs to root. So
the work is split: whoever owns the trees lets kas bring them to their pinned commits and resolve the
configuration into one file (``kas dump``); with that file, which names no include and no git tree any more,
kas prepares the build directory and runs the command as the user that `build_user` provides (``kas shell``
without the steps that touch trees). An ordinary user does both, under the same paths.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import yaml

from wr_nvidia_k8s.build.build_user import BuildUser
from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.common.paths import LAYERS as LAYERS
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.common.process import supervised

OWN_REPO = "meta-wr-nvidia-k8s"
OFFLINE = "kas/include/offline.yml"

# The steps of kas that look at or change the trees of other repositories.
_TREE_STEPS = ("repo_setup_loop", "finish_setup_repos", "repos_checkout", "repos_apply_patches")


class KasError(UserError):
    """kas refused a configuration; the text is what it said."""


def images() -> list[str]:
    """The names of the images that `kas build kas/NAME.yml` makes."""
    files = (TOP / "kas").glob("*.yml")
    return sorted(path.stem for path in files if not path.name.endswith(".lock.yml"))


def fragments() -> list[str]:
    """The names of the fragments that fit any image: those that add no third-party repository."""
    files = (TOP / "kas/include").glob("*.yml")
    return sorted(path.stem for path in files if not {"overrides", "repos"} & set(yaml.safe_load(path.read_text())))


def _kas(*arguments: str, steps: Sequence[str] = (), trees: Path = LAYERS) -> str:
    program = Path(sys.executable).parent / "kas"
    skip = [word for step in steps for word in ("--skip", step)]
    environment = {**os.environ, "KAS_WORK_DIR": str(trees)}
    environment.pop("KAS_BUILD_DIR", None)
    done = subprocess.run(
        [str(program), arguments[0], *skip, *arguments[1:]],
        cwd=TOP, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        # kas logs every step; what matters is from the first error on.
        lines = done.stderr.splitlines()
        first = next((i for i, line in enumerate(lines) if " - ERROR " in line), 0)
        raise KasError("\n".join(lines[first:]))
    return done.stdout


def read(files: Sequence[str]) -> dict[str, Any]:
    """The configuration that kas makes of ``files`` (relative to the repository), without touching a tree."""
    text = _kas("dump", "--format", "json", ":".join(files), steps=_TREE_STEPS)
    config: dict[str, Any] = json.loads(text)
    return config


def missing_trees(config: dict[str, Any], trees: Path = LAYERS) -> list[str]:
    """The repositories of ``config`` that are not in ``trees`` and that kas would clone."""
    return [
        name
        for name, repo in config["repos"].items()
        if (repo or {}).get("url") and not (trees / (repo.get("path") or name)).exists()
    ]


class KasBuild:
    """The build directory ``state``/build of the configuration in ``files``, with what BitBake needs of it.

    ``extra``: lines for local.conf, keyed by a name for what they do.
    """

    def __init__(self, state: Path, files: Sequence[str], extra: dict[str, str] | None = None) -> None:
        self.directory = state / "build"
        # git fails where another git writes the same index.
        with cache.alone(LAYERS.with_name(".layers.lock"), "kas at work in the layer trees"):
            text = _kas("dump", "--format", "json", "--resolve-refs", ":".join(files))
        self.config: dict[str, Any] = json.loads(text)
        if OWN_REPO in self.config["repos"]:
            self.config["repos"][OWN_REPO]["path"] = str(TOP)
        self.config.setdefault("local_conf_header", {}).update(extra or {})
        self.targets: list[str] = [self.config["target"]]
        programs = {Path(sys.prefix), Path(sys.base_prefix)} - {Path("/usr")}
        self.user = BuildUser(read_only=[TOP, LAYERS, *shared_objects(LAYERS), *programs], writable=[state])
        self._config_file = self._write(state / "kas.json", json.dumps(self.config, indent=2))
        # kas gives BitBake a HOME of its own, with this in it: the trees are somebody else's.
        self._gitconfig = self._write(state / "gitconfig", "[safe]\n\tdirectory = *\n")

    def forget(self) -> None:
        """Delete TMPDIR, with the parse cache in it: afterwards no task counts as having run."""
        # Tens of thousands of files: rm is several times faster than shutil.
        subprocess.run(["rm", "-rf", *map(str, self.directory.glob("tmp*"))], check=True)

    def _write(self, path: Path, text: str) -> Path:
        fresh = path.with_suffix(".new")
        fresh.write_text(text)
        self.user.own(fresh)
        fresh.replace(path)
        return path

    def bitbake(self, arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """`popen` ``bitbake ARGUMENTS``. It ends with its server, whose last act is to save the parse cache."""
        return self.popen(f"bitbake {arguments}; status=$?; flock bitbake.lock true; exit $status")

    @contextmanager
    def popen(self, command: str) -> Iterator[subprocess.Popen[str]]:
        """Run a shell command in the build directory, as the build user; its output is one stream.

        It has ended when the context has, with all that it started: by itself or, where that is left early or this
        process ends, by force.
        """
        skip = [word for step in _TREE_STEPS for word in ("--skip", step)]
        kas = str(Path(sys.executable).parent / "kas")
        wrapped, own = self.user.command(
            [kas, "--log-level", "error", "shell", *skip, "-c", command, str(self._config_file)],
            self.directory.parent,
        )
        extra = {
            "KAS_WORK_DIR": str(LAYERS),
            "KAS_BUILD_DIR": str(self.directory),
            "GITCONFIG_FILE": str(self._gitconfig),
            "SHELL": "/bin/bash",
        }
        # An ordinary user has no PID namespace that would end with it, and BitBake leaves a server behind.
        with supervised(
            wrapped, env={**self.user.environment(extra), **own}, cwd="/", errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=1,
        ) as process:  # fmt: skip
            yield process


def shared_objects(trees: Path) -> set[Path]:
    """Where trees made with ``git clone --shared`` keep their objects: git needs those folders as well."""
    found: set[Path] = set()
    for repository in ("*/.git", "*/*/.git", "*/*.git"):
        for alternates in trees.glob(f"{repository}/objects/info/alternates"):
            found.update(Path(line) for line in alternates.read_text().splitlines() if line.startswith("/"))
    return {path for path in found if path.exists()}
