# SPDX-License-Identifier: MIT
"""Run BitBake (or anything that refuses root) as an ordinary user.

BitBake stops when it is root. A developer is an ordinary user already and runs the command as it is. In a
container one is often root: there this module runs the command as the system user
``wr-nvidia-k8s-build``, in mount and PID namespaces of its own:

- Every path keeps its name. Where a folder above a needed path is closed to the user (``/root``), an empty
  folder is laid over it *inside the namespace* and only the needed paths are bound below it: the read-only
  ones cannot be written, everything else under ``/root`` is out of sight, and nothing outside changes.
- The writable folders are created where missing and given to the user.
- When the command ends or is killed, so is everything it started (BitBake leaves a server behind; for an ordinary
  user it is `common.process.supervised` that sees to it).

    user = BuildUser(read_only=[checkout, layers], writable=[build])
    user.run(["bash", "-c", ". oe-init-build-env . && bitbake -p"], cwd=build, check=True)
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wr_nvidia_k8s.common.errors import HostError

NAME = "wr-nvidia-k8s-build"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Runs as root inside the new namespaces. Arguments: closed folders, --, read-only paths, --, writable
# paths, --, then the command. A covered path is first bound aside, because the cover hides it.
_ENTER = r"""
set -eu
aside=/mnt
mount -t tmpfs -o mode=755 tmpfs "$aside"
closed=()
while [ "$1" != -- ]; do closed+=("$1"); shift; done; shift
paths=() modes=()
while [ "$1" != -- ]; do paths+=("$1"); modes+=(ro); shift; done; shift
while [ "$1" != -- ]; do paths+=("$1"); modes+=(rw); shift; done; shift
for i in "${!paths[@]}"; do
    if [ -d "${paths[i]}" ]; then mkdir "$aside/$i"; else touch "$aside/$i"; fi
    mount --rbind "${paths[i]}" "$aside/$i"
done
for folder in "${closed[@]}"; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
for i in "${!paths[@]}"; do
    if [ -d "$aside/$i" ]; then mkdir -p "${paths[i]}"; else
        mkdir -p "$(dirname "${paths[i]}")"; [ -e "${paths[i]}" ] || touch "${paths[i]}"
    fi
    mount --rbind "$aside/$i" "${paths[i]}"
    [ "${modes[i]}" = rw ] || mount -o remount,bind,ro "${paths[i]}"
done
umount -R -l "$aside"
[ "$WR_NVIDIA_K8S_LOOPBACK" = 0 ] || ip link set lo up
unset WR_NVIDIA_K8S_LOOPBACK
cd "$WR_NVIDIA_K8S_CWD"
unset WR_NVIDIA_K8S_CWD
# Not exec: the kernel forgets --kill-child where setpriv changes the user, and this shell is the one it kills.
"$@" || exit $?
exit 0
"""


class BuildUserError(HostError):
    """The command cannot be run as an ordinary user; the text says what is missing and what to do."""


class BuildUser:
    """An ordinary user who sees ``read_only`` and ``writable`` paths under their own names.

    ``network=False`` leaves the command nothing but a loopback interface. It needs root and is ignored for an
    ordinary user.
    """

    def __init__(
        self, read_only: Iterable[Path] = (), writable: Iterable[Path] = (), *, network: bool = True
    ) -> None:
        self.read_only = [path.absolute() for path in read_only]
        self.writable = [path.absolute() for path in writable]
        self.network = network
        if not self.writable:
            raise ValueError("expected at least one writable folder: the first is the user's home")
        for path in self.read_only:
            if not path.exists():
                raise BuildUserError(f"{path}: expected it to exist")
        for folder in self.writable:
            folder.mkdir(parents=True, exist_ok=True)
        self._account = _account() if os.geteuid() == 0 else None
        if self._account is not None:
            for folder in self.writable:
                os.chown(folder, self._account.pw_uid, self._account.pw_gid)

    def own(self, path: Path) -> None:
        """Make the user the owner of a file or folder that was created in a writable folder."""
        if self._account is not None:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The command's whole environment: nothing of the caller's PATH or Python settings leaks in."""
        env = {
            "PATH": PATH,
            "HOME": str(self.writable[0]),
            "LANG": "C.UTF-8",
            "USER": self._account.pw_name if self._account else pwd.getpwuid(os.geteuid()).pw_name,
            # git refuses trees that belong to somebody else, as the bound ones do.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        env.update(extra or {})
        return env

    def command(self, argv: Sequence[str], cwd: Path) -> tuple[list[str], dict[str, str]]:
        """``argv`` wrapped to run as the user in ``cwd``, and what the wrapper needs in its environment."""
        if self._account is None:
            return list(argv), {}
        closed: list[str] = []
        for path in (*self.read_only, *self.writable):
            top = _closed_ancestor(path)
            if top is not None and str(top) not in closed:
                closed.append(str(top))
        namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if not self.network:
            namespaces.append("--net")
        wrapped = ["unshare", *namespaces, "--", "bash", "-c", _ENTER, "build-user", *closed, "--"]
        wrapped += [*map(str, self.read_only), "--", *map(str, self.writable), "--"]
        wrapped += ["setpriv", f"--reuid={NAME}", f"--regid={self._account.pw_gid}", "--init-groups"]
        wrapped += ["--no-new-privs", "--inh-caps=-all", "--", *argv]
        own = {"WR_NVIDIA_K8S_CWD": str(cwd), "WR_NVIDIA_K8S_LOOPBACK": "0" if self.network else "1"}
        return wrapped, own

    def run(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """``subprocess.run`` in text mode as the user in ``cwd``; ``env`` is added to `environment`."""
        wrapped, own = self.command(argv, cwd)
        environment = {**self.environment(env), **own}
        options = {"stdin": subprocess.DEVNULL, "check": False, **options}
        directory = "/" if self._account else cwd
        return subprocess.run(wrapped, env=environment, text=True, cwd=directory, **options)


def _account() -> pwd.struct_passwd:
    missing = [tool for tool in ("unshare", "setpriv", "mount") if shutil.which(tool) is None]
    if missing:
        raise BuildUserError(
            f"expected {', '.join(missing)} on PATH, to run BitBake as the user {NAME} "
            "(it refuses root): install util-linux and mount, or run this as an ordinary user"
        )
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        raise BuildUserError(
            f"expected the user {NAME}, to run BitBake as: scripts/test and scripts/check-image make it"
        ) from None


def _closed_ancestor(path: Path) -> Path | None:
    """The topmost folder above ``path`` that other users cannot traverse."""
    for ancestor in reversed(path.parents):
        if not ancestor.stat().st_mode & 0o001:
            return ancestor
    return None
