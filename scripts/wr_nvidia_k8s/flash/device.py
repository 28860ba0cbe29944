# SPDX-License-Identifier: MIT
"""Whether a block device may be overwritten. lsblk (util-linux) knows what uses it, the kernel has the last word."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wr_nvidia_k8s.flash import root
from wr_nvidia_k8s.flash.error import HostError, Refused

SYSTEM = ("/", "/boot", "/boot/efi", "/efi", "/etc", "/home", "/nix", "/opt", "/root", "/usr", "/var", "[SWAP]")
# NAME makes lsblk print a tree.
_COLUMNS = "NAME,PATH,PKNAME,TYPE,SIZE,RO,TRAN,VENDOR,MODEL,SERIAL,MOUNTPOINTS,PTTYPE,PARTLABEL,FSTYPE,LABEL"


@dataclass(frozen=True)
class Device:
    """A whole disk, card or loop device that nothing uses.

    ``size`` is in bytes, ``content`` says what would be lost, a line for each partition, ``identity`` (`flash.root`)
    tells it from another one that comes by the same name.
    """

    path: str
    size: int
    name: str
    content: list[str]
    identity: dict[str, str]

    def __str__(self) -> str:
        return f"{self.path} ({self.name}{', ' if self.name else ''}{human(self.size)})"

    def require(self, needed: int) -> None:
        """Raise `Refused` unless ``needed`` bytes may go there."""
        if self.size < needed:
            raise Refused(
                f"expected at least {human(needed)} ({needed} bytes), {self.path} has {human(self.size)} "
                f"({self.size} bytes)"
            )


def check(name: str) -> Device:
    """The device at ``name``, a path or a link to one. Raises `Refused` unless it may be overwritten."""
    path = os.path.realpath(name)
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise Refused(f"expected a block device, found none at {name} ({error.strerror}): lsblk lists them") from None
    if not stat.S_ISBLK(mode):
        raise Refused(f"expected a block device, {name} is none: lsblk lists them")
    in_use = _in_use(path)
    # Before lsblk: what is shown can only be newer than this, and then it is refused when it is to be written.
    identity = root.identity(path)
    tree = _lsblk(path)
    check_tree(tree)
    if in_use:
        raise Refused(
            f"expected a device that nothing uses, the kernel says of {path}: {in_use}; "
            "see what holds it: lsblk, swapon --show, cat /proc/mdstat, zpool status"
        )
    # A disk without a name, like a loop device, has only nulls here.
    words = [tree.get("vendor"), tree.get("model"), tree.get("serial"), tree.get("tran")]
    name = " ".join(word.strip() for word in words if word)
    return Device(path, int(tree["size"]), name, content(tree), identity)


def _in_use(path: str) -> str:
    """The kernel's words, if it does not give the device; it tells root only."""
    try:
        os.close(root.claim(path))
    except PermissionError:
        pass  # an ordinary user cannot ask; the step that runs as root does
    except OSError as error:
        return error.strerror or str(error)
    return ""


def content(tree: dict[str, Any]) -> list[str]:
    """Partition tables, file systems and other signatures on the device and its partitions, in words."""
    lines = []
    for node in _nodes(tree):
        words = [f"partition{_called(node.get('partlabel'))}"] if node["type"] == "part" else []
        words += [f"{kind}{_called(label)}" for kind, label in _signatures(node)]
        if words:
            lines.append(f"{node['path']} ({human(int(node['size']))}): {', '.join(words)}")
    return lines


def _called(label: str | None) -> str:
    return f" {label!r}" if label else ""


def _signatures(node: dict[str, Any]) -> list[tuple[str, str | None]]:
    """(kind, label) of each: read by wipefs, which also sees what was left from before, or else as udev told lsblk."""
    found = [(node.get("pttype"), None), (node.get("fstype"), node.get("label"))]
    if os.access(node["path"], os.R_OK):
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        done = subprocess.run(
            ["wipefs", "--json", node["path"]], env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        if done.stdout:  # nothing where nothing was found
            found += [(entry["type"], entry.get("label")) for entry in json.loads(done.stdout)["signatures"]]
    return [(kind, label) for kind, label in dict.fromkeys(found) if kind]


def check_tree(tree: dict[str, Any]) -> None:
    """`check` on what ``lsblk --json --bytes`` says of one device and of all that lies on it."""
    path, kind = tree["path"], tree["type"]
    if kind == "part":
        raise Refused(f"expected a whole disk, {path} is a partition: name /dev/{tree['pkname']}")
    if kind not in ("disk", "loop"):
        raise Refused(f"expected a whole disk, {path} is of type {kind}: lsblk lists the disks")
    mounts = [(node["path"], point) for node in _nodes(tree) for point in node.get("mountpoints") or [] if point]
    system = [f"{point} on {node}" for node, point in mounts if point in SYSTEM]
    if system:
        raise Refused(
            f"expected a disk that this system does not run from, {path} has {', '.join(system)}: choose another device"
        )
    if mounts:
        used = ", ".join(f"{node} at {point}" for node, point in mounts)
        raise Refused(
            f"expected a disk with nothing mounted, found {used}: if that is the right one, "
            f"unmount it first: {'; '.join(dict.fromkeys(f'sudo umount {node}' for node, _ in mounts))}"
        )
    held = [f"{node['path']} ({node['type']})" for node in _nodes(tree) if node["type"] not in ("disk", "loop", "part")]
    if held:
        raise Refused(
            f"expected a disk that nothing uses, {path} is part of {', '.join(held)}: choose another device, or take "
            "that apart first (vgchange -an, mdadm --stop, cryptsetup close)"
        )
    if tree["ro"]:
        raise Refused(f"expected a writable device, {path} is read-only: look for the card's lock switch")


def human(size: int) -> str:
    """As is printed on cards and drives: powers of ten."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def _nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield tree
    for child in tree.get("children", []):
        yield from _nodes(child)


def _lsblk(path: str) -> dict[str, Any]:
    command = ["lsblk", "--json", "--bytes", "--output", _COLUMNS, path]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise HostError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
    tree: dict[str, Any] = json.loads(done.stdout)["blockdevices"][0]
    return tree


def writable(path: str | Path) -> bool:
    """Whether this user may write to the device node."""
    return os.access(path, os.R_OK | os.W_OK)
