# SPDX-License-Identifier: MIT
"""A fresh Debian with a clean checkout in it, for as long as a command runs there.

debootstrap makes its smallest variant, in namespaces that end with us (`room`). In there are of this machine:

- the way to the network: apt's sources and its settings of how to fetch, pip's configuration files, the variables in
  `NETWORK`, certificate authorities, resolv.conf and hosts;
- its kernel and devices: /dev and /sys;
- the folders of the cache that no command of ours fills by itself (`MOUNTED`). Nothing that happens in there changes
  them.

Everything else starts from nothing: packages, virtual environments, the real kubelet, what BitBake has built.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from wr_nvidia_k8s.build.kas import shared_objects
from wr_nvidia_k8s.build.task_sources import RELEASE
from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.cache import say
from wr_nvidia_k8s.common.errors import HostError
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.debian import apt
from wr_nvidia_k8s.lab.room.room import Room, RoomError

MOUNTED = {
    "layers": "what needs BitBake's layers is skipped (CONTRIBUTING.md lays them out)",
    "sources": "what reads third-party sources is skipped (CONTRIBUTING.md names them)",
}
"""Folders of the cache, and what it means where one is not there."""

NETWORK = (
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_PROXY", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES"),
    *("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
)
"""Environment variables that say how to reach the network."""

CHECKOUT = Path("/srv/meta-wr-nvidia-k8s")
_HOME = Path("/root")
# Removing some gigabytes of small files.
_CLOSE_SECONDS = 300.0
# Runs in the room. Arguments: the new root, then the mounts in it as words of mount's command line, each ended by --.
_ENTER = r"""
set -euo pipefail
root=$1; shift
mount --bind "$root" "$root"
cd "$root"
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs run
while [ $# -gt 0 ]; do
    words=()
    while [ "$1" != -- ]; do words+=("$1"); shift; done; shift
    mkdir -p "${words[-1]}"
    mount "${words[@]}"
done
pivot_root . mnt
umount --lazy /mnt
"""


class FreshError(HostError):
    """A fresh Debian cannot be had here; the text says what was expected, what was found and what to do."""


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run ``command`` in a fresh Debian, in the checkout there, as root; its exit status.

    ``environment`` is added to what it gets. Input and output are ours. When this ends, however it does, nothing of
    the Debian is left. Raises FreshError.
    """
    _check()
    folder = cache.root() / "fresh"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        room = Room("wr-fresh", files={}, own={}, hide=[], show={}, network=True, within=folder)
    except RoomError as error:
        raise FreshError(f"expected to be allowed namespaces and cgroups: {error}") from error
    try:
        _make(room)
        words = [f"{name}={value}" for name, value in {**_environment(), **(environment or {})}.items()]
        enter = ["env", "-i", *words, "sh", "-c", 'cd "$0" && exec "$@"', str(CHECKOUT), *command]
        return _wait(subprocess.Popen(room.command(enter), cwd="/", env={"PATH": _path()}))
    finally:
        say("removing the fresh Debian")
        room.close(_CLOSE_SECONDS)


def _check() -> None:
    if os.geteuid() != 0:
        raise FreshError("expected root, which may change its root directory, mount and make devices: use sudo")
    tools = ("debootstrap", "git", "nsenter", "pivot_root")
    missing = [tool for tool in tools if shutil.which(tool, path=_path()) is None]
    if missing:
        raise FreshError(f"expected the commands {', '.join(missing)}; apt-get install debootstrap git util-linux")


def _path() -> str:
    """Where this machine's programs are; the PATH of a user who became root may lack those that are only root's."""
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit status. An interrupt at the terminal reaches the command as well, and it may say its last words."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        try:
            return process.wait(10)
        except subprocess.TimeoutExpired:
            return 130


def _make(room: Room) -> None:
    """Make the Debian below the room's scratch directory, and let it be the room's root directory."""
    try:
        (mirror, *_) = apt.mirrors(room.scratch / "mirrors")
        sources = apt.sources(RELEASE, room.scratch / "sources")
    except apt.DebianError as error:
        raise FreshError(str(error)) from error
    new = room.scratch / "root"
    log = room.scratch / "debootstrap.log"
    say(f"making a fresh Debian {RELEASE} in {new}")
    with log.open("w") as output:
        made = subprocess.run(
            room.command(["debootstrap", "--variant=minbase", RELEASE, str(new), mirror]),
            env={**os.environ, "PATH": _path()}, cwd="/", stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, check=False,
        )  # fmt: skip
    if made.returncode:
        raise FreshError(f"debootstrap ended with {made.returncode}:\n{log.read_text()[-2000:]}")
    _connect(new, sources)
    _check_out(new / CHECKOUT.relative_to("/"))
    mounts = _mounts(room.scratch)
    for name, without in MOUNTED.items():
        path = cache.root() / name
        say(f"of this machine's cache it sees {name}" if path.is_dir() else f"{path} is not there: {without}")
    try:
        room.run(["bash", "-c", _ENTER, "enter", str(new), *mounts])
    except RoomError as error:
        raise FreshError(f"expected to be allowed to mount and to change the root directory: {error}") from error


def _environment() -> dict[str, str]:
    """What a login of root has, and how to reach the network."""
    own = {name: os.environ[name] for name in ("TERM", *NETWORK) if name in os.environ}
    return {"HOME": str(_HOME), "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **own}


def _connect(new: Path, sources: str) -> None:
    """Let the Debian in ``new`` reach what this machine reaches."""
    (new / "etc/apt/sources.list").unlink(missing_ok=True)
    (new / "etc/apt/sources.list.d/debian.sources").write_text(sources)
    settings = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    # Not which kinds of lists there are: that is the business of what is installed here.
    fetch = re.compile(r"Acquire::(?!IndexTargets|Changelogs|Languages)")
    lines = [line for line in settings.splitlines() if fetch.match(line)]
    (new / "etc/apt/apt.conf.d/90fetch").write_text("\n".join(lines) + "\n")
    home = Path.home()
    user = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    copies = {path: path for path in map(Path, ("/etc/pip.conf", "/etc/resolv.conf", "/etc/hosts"))}
    copies |= {user: _HOME / ".config/pip/pip.conf", home / ".pip/pip.conf": _HOME / ".pip/pip.conf"}
    # Of the variables those that name a file, which is one of certificates.
    named = [Path(os.environ[name]) for name in NETWORK if os.environ.get(name, "").startswith("/")]
    # ca-certificates makes its bundle anew from these when it is installed.
    copies |= {path: path for path in [*named, *Path("/usr/local/share/ca-certificates").glob("**/*.crt")]}
    for source, place in copies.items():
        if source.is_file():
            target = new / place.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def _check_out(target: Path) -> None:
    """What git tracks of this checkout, as it is in the work tree."""
    target.parent.mkdir(parents=True, exist_ok=True)
    git = ["git", "-c", "safe.directory=*"]
    try:
        # Not the object files themselves, which the command may change.
        subprocess.run([*git, "clone", "--quiet", "--no-hardlinks", TOP, target], check=True)
        changes = subprocess.run([*git, "-C", TOP, "diff", "--binary", "HEAD"], capture_output=True, check=True).stdout
        if changes:
            say("the checkout has your changes of files that git tracks; add new files to git to have them there")
            subprocess.run([*git, "-C", target, "apply", "--index"], input=changes, check=True)
    except subprocess.CalledProcessError as error:
        raise FreshError(f"expected a git work tree at {TOP}: {error}") from error


def _mounts(scratch: Path) -> list[str]:
    """Words of mount's command line for what is in `MOUNTED`, by paths in the new root."""
    words: list[str] = []
    inside = _HOME / ".cache" / "wr-nvidia-k8s"
    for name in MOUNTED:
        path = cache.root() / name
        if not path.is_dir():
            continue
        # A layer of its own over it: kas writes into the trees.
        layers = {"lowerdir": path, "upperdir": scratch / f"{name}-upper", "workdir": scratch / f"{name}-work"}
        for key in ("upperdir", "workdir"):
            layers[key].mkdir()
        options = ",".join(f"{key}={value}" for key, value in layers.items())
        words += ["-t", "overlay", "-o", options, "overlay", f".{inside / name}", "--"]
        for objects in sorted(shared_objects(path)):
            words += ["-o", "bind,ro", str(objects), f".{objects}", "--"]
    return words
