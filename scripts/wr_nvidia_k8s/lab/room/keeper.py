# SPDX-License-Identifier: MIT
"""The keeper of one `room.Room`: makes its cgroups and namespaces, and cleans up behind it.

It is a program, in a session of its own so that it outlives an owner that is killed:

    owner --stdin pipe--> keeper -> unshare -> PID 1 of the room, which ends when the pipe does

With PID 1 the kernel kills everything in the room and drops its mounts (pid_namespaces(7)). Arguments: the
scratch directory, whose name is the cgroups' name as well, and as JSON the options of unshare that say which
namespaces there are beside the cgroups', and the commands that lay out the room.
When the room stands, one line of JSON goes to stdout: PID 1's pid and the room's own cgroup directories,
both as the machine has them.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = "/sys/fs/cgroup"
# The room's own processes live one below its root cgroup: v2 allows no process in a cgroup that hands
# controllers on to its children (cgroups(7), "no internal processes").
INNER = "room"
_DEADLINE = 20.0

# The cgroup that a process is in when it makes a cgroup namespace becomes the root of that: hence two steps.
_JOIN_ROOT = 'for d; do echo 0 >"$d/cgroup.procs"; done; exec unshare --cgroup bash -ec "$JOIN_INNER" bash "$@"'
_JOIN_INNER = f"""
for d; do echo 0 >"$d/{INNER}/cgroup.procs"; done
exec unshare $NAMESPACES --fork --kill-child bash -ec "$LAY_OUT"
"""


@dataclass(frozen=True)
class Hierarchy:
    """A mounted cgroup hierarchy: the only one with v2, one of several with v1 or hybrid."""

    path: Path
    kind: str
    options: str

    @staticmethod
    def mounted() -> list[Hierarchy]:
        controllers = {line.split()[0] for line in Path("/proc/cgroups").read_text().splitlines()[1:]}
        found = []
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, path, kind, options, *_ = line.split()
            if kind in ("cgroup", "cgroup2") and Path(path).is_relative_to(ROOT):
                # Of a v1 hierarchy's options those that say which one it is; the rest is about this mount.
                which = [o for o in options.split(",") if o in controllers or o.startswith("name=")]
                found.append(Hierarchy(Path(path), kind, ",".join(which)))
        return found

    def make(self, name: str) -> None:
        if self.kind == "cgroup2" and self.path == Path(ROOT):
            # Whatever runs containers switches these on for the machine (runc does), and systemd may come to
            # count on them: so they stay on.
            (self.path / "cgroup.subtree_control").write_text("+cpu +cpuset +memory +pids")
        for cgroup in (self.path / name, self.path / name / INNER):
            cgroup.mkdir()
            # In v1 a cpuset has no processors and no memory until it is given some, and takes no process.
            for file in ("cpuset.cpus", "cpuset.mems"):
                if self.kind == "cgroup" and (cgroup / file).exists():
                    (cgroup / file).write_text((cgroup.parent / file).read_text())

    def remove(self, name: str) -> None:
        """Remove ``name`` and all below it; the processes are dead, which the kernel may take a moment to see."""
        deadline = time.monotonic() + _DEADLINE
        for folder, _, _ in os.walk(self.path / name, topdown=False):
            while Path(folder).exists():
                try:
                    Path(folder).rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)

    def mount(self) -> list[list[str]]:
        """Commands that mount the hierarchy at its place, its root being the cgroup namespace's."""
        options = ["-o", self.options] if self.options else []
        return [["mkdir", "-p", str(self.path)], ["mount", "-t", self.kind, *options, self.kind, str(self.path)]]


def _lay_out(name: str, hierarchies: list[Hierarchy], commands: list[list[str]]) -> str:
    """What PID 1 of the room does, as shell text."""
    steps = [["umount", "--recursive", "--lazy", ROOT]]
    if all(str(hierarchy.path) != ROOT for hierarchy in hierarchies):
        steps.append(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", ROOT])
    for hierarchy in hierarchies:
        steps += hierarchy.mount()
    steps += [["mount", "-t", "proc", "proc", "/proc"], *commands]
    inner = [str(hierarchy.path / name / INNER) for hierarchy in hierarchies]
    return "\n".join(
        [
            "read -r pid _ </proc/self/stat",  # still the machine's /proc, so the machine's number
            *(shlex.join(step) for step in steps),
            f"""printf '[%s, %s\\n' "$pid" {shlex.quote(json.dumps(inner)[1:])}""",
            # Orphans fall to PID 1; with SIGCHLD ignored, which exec keeps, the kernel reaps them.
            "trap '' CHLD",
            "exec cat >/dev/null",
        ]
    )


def keep(scratch: Path, namespaces: list[str], commands: list[list[str]]) -> int:
    """Make the room and wait for its end. The exit status of what made it."""
    name = scratch.name
    hierarchies = Hierarchy.mounted()
    # The same as for any other end: what is below cleans up, and the room's PID 1 follows unshare.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        for hierarchy in hierarchies:
            hierarchy.make(name)
        process = subprocess.Popen(
            ["bash", "-ec", _JOIN_ROOT, "bash", *(str(hierarchy.path / name) for hierarchy in hierarchies)],
            env={**os.environ, "JOIN_INNER": _JOIN_INNER, "NAMESPACES": " ".join(namespaces),
                 "LAY_OUT": _lay_out(name, hierarchies, commands)},
        )
        try:
            return process.wait()
        finally:
            process.kill()
            process.wait()
    finally:
        for hierarchy in hierarchies:
            hierarchy.remove(name)
        # Of a whole Debian with its caches, rm needs a fraction of shutil's time.
        subprocess.run(["rm", "-rf", str(scratch)], stderr=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    sys.exit(keep(Path(sys.argv[1]), *json.loads(sys.argv[2])))
