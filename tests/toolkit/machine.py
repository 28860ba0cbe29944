# SPDX-License-Identifier: MIT
"""A machine with NVIDIA's container toolkit in it, as a folder, and containers that are created on it.

Real: the toolkit's programs, and the configuration that the image has. Stood in for: runc, which only notes that it
was called, and the driver's files.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit import build

HERE = Path(__file__).resolve().parent
SETTINGS = build.RECIPES / "nvidia-container-toolkit-config"
VISIBLE = "NVIDIA_VISIBLE_DEVICES"


def setting(name: str, secure: bool = False) -> str:
    """A file of nvidia-container-toolkit-config, with the placeholders filled in as its recipe does it."""
    values = {
        "ENVVAR": str(not secure).lower(), "VOLUME_MOUNTS": str(secure).lower(),
        "BINDIR": "/usr/bin", "LIBDIR": "/usr/lib", "DATADIR": "/usr/share", "SYSCONFDIR": "/etc",
    }  # fmt: skip
    return re.sub("@([A-Z_]+)@", lambda match: values[match[1]], (SETTINGS / name).read_text())


def asks_by_mount(device: str) -> dict[str, Any]:
    """The mount by which a device plugin asks for a device (its device list strategy volume-mounts)."""
    return {"destination": f"/var/run/nvidia-container-devices/{device}", "source": "/dev/null", "type": "bind"}


@dataclass
class Created:
    """What the runtime made of a container's config.json before it called runc."""

    spec: dict[str, Any]
    before: dict[str, Any]

    @property
    def changed(self) -> bool:
        """Whether the container was given anything."""
        mounted = {mount["destination"] for mount in self.before["mounts"]}
        same = set(self.mounts) == mounted and self.spec["process"]["env"] == self.before["process"]["env"]
        return not same or bool(self.devices or self.hooks)

    @property
    def devices(self) -> set[str]:
        return {device["path"] for device in self.spec["linux"].get("devices", [])}

    @property
    def mounts(self) -> dict[str, str]:
        """By the place in the container, where the file comes from."""
        return {mount["destination"]: mount["source"] for mount in self.spec.get("mounts", [])}

    @property
    def hooks(self) -> list[dict[str, Any]]:
        return [hook for hooks in self.spec.get("hooks", {}).values() for hook in hooks]

    @property
    def links(self) -> dict[str, str]:
        """The symbolic links that hooks are to make, with their targets."""
        words = [word for hook in self.hooks for word in hook["args"] if "::" in word]
        return {link: target for target, link in (word.split("::") for word in words)}


@dataclass
class Machine:
    """``root`` with the toolkit in it."""

    root: Path
    said: str = field(default="", init=False)
    """What the last program said."""

    def install(self, programs: Path, mode: str, *, secure: bool = False) -> Machine:
        """Put in the programs, what they need to run, and the configuration for a mode (csv or cdi)."""
        binaries = self.root / "usr" / "bin"
        binaries.mkdir(parents=True)
        for program in build.PROGRAMS:
            shutil.copy2(programs / program, binaries)
        ldd = subprocess.run(["ldd", *programs.iterdir()], capture_output=True, text=True, check=True).stdout
        for library in set(re.findall(r"(/\S+) \(0x", ldd)):
            place = self.root / library.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(library, place)
        compiler = ["gcc", "-static", "-o", str(binaries / "runc"), str(HERE / "runc_recorder.c")]
        subprocess.run(compiler, check=True)
        (self.root / "tmp").mkdir()
        self.write("etc/nvidia-container-runtime/config.toml", setting(f"{mode}.toml", secure))
        return self

    def write(self, name: str, text: str = "") -> None:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def link(self, name: str, target: str) -> None:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def run(self, *command: str, stdin: str = "") -> int:
        """Run a program of the machine; returns its status."""
        done = subprocess.run(
            [HERE / "room.sh", self.root, *command], input=stdin, capture_output=True, text=True, check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )  # fmt: skip
        self.said = done.stdout + done.stderr
        return done.returncode

    def create(
        self,
        environment: dict[str, str] | None = None,
        mounts: list[dict[str, Any]] | None = None,
        *,
        privileged: bool = False,
        annotations: dict[str, str] | None = None,
    ) -> Created:
        """Create a container as Docker has it created."""
        before = {
            "ociVersion": "1.0.2",
            "process": {
                "args": ["true"], "cwd": "/",
                "env": ["PATH=/bin", *(f"{name}={value}" for name, value in (environment or {}).items())],
                "capabilities": {"bounding": ["CAP_SYS_ADMIN"] if privileged else ["CAP_CHOWN"]},
            },
            "root": {"path": "rootfs"},
            "mounts": mounts or [],
            "linux": {},
            "annotations": annotations or {},
        }  # fmt: skip
        (self.root / "bundle" / "rootfs").mkdir(parents=True, exist_ok=True)
        self.write("bundle/config.json", json.dumps(before))
        called = self.root / "runc-arguments"
        called.unlink(missing_ok=True)
        status = self.run("/usr/bin/nvidia-container-runtime", "create", "--bundle", "/bundle", "container")
        assert status == 0, self.said
        assert called.read_text().split() == ["create", "--bundle", "/bundle", "container"]
        return Created(json.loads((self.root / "bundle" / "config.json").read_text()), before)

    def run_hooks(self, created: Created) -> Path:
        """Run the hooks that make links, as runc would; returns the container's root."""
        for hook in created.hooks:
            if "create-symlinks" in hook["args"]:
                state = json.dumps({"ociVersion": "1.0.2", "id": "container", "pid": 1, "bundle": "/bundle"})
                assert self.run(hook["path"], *hook["args"][1:], stdin=state) == 0, self.said
        return self.root / "bundle" / "rootfs"
