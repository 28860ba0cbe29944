# SPDX-License-Identifier: MIT
"""The files of the plugin's package, without BitBake: the recipe's own install commands, run on a frozen program.

Only the recipe and its class say which file goes where. Their shell functions are extracted from the text and run with
the values that BitBake's variables have on the target; a line that cannot be handled is an error, not a guess.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.freeze import freezer
from wr_nvidia_k8s.freeze.parts import ARCHES

FOLDER = TOP / "recipes-containers" / freezer.NAME
CLASS = TOP / "meta-wr-nvidia-k8s" / "classes" / "pyinstaller.bbclass"

# oe-core: conf/bitbake.conf and classes/systemd.bbclass, with usrmerge.
_DIRECTORIES = {
    "bindir": "/usr/bin",
    "libexecdir": "/usr/libexec",
    "nonarch_libdir": "/usr/lib",
    "sysconfdir": "/etc",
    "systemd_system_unitdir": "/usr/lib/systemd/system",
}


class PackageError(UserError):
    """The package's files are not available; the text says what was expected, and where."""


def _recipe() -> Path:
    found = sorted(FOLDER.glob(f"{freezer.NAME}_*.bb"))
    if len(found) != 1:
        raise PackageError(f"expected one recipe {freezer.NAME}_VERSION.bb in {FOLDER}, found {len(found)}")
    return found[0]


def _search(pattern: str, file: Path) -> str:
    match = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if not match:
        raise PackageError(f"expected text like {pattern!r} in {file}, found none")
    return match[1]


def _function(name: str, file: Path) -> str:
    """The body of a shell function."""
    return _search(rf"^{re.escape(name)}\(\) \{{\n(.*?)^\}}", file)


def units() -> list[str]:
    """The units that the package enables on the target."""
    return _search(r'^SYSTEMD_SERVICE:\$\{PN\} = "([^"]*)"', _recipe()).split()


def from_recipe(arch: str, output: Path, scratch: Path) -> None:
    """Freeze the plugin for Debian's architecture `arch` and install it into the folder `output`.

    Raises PackageError, FreezeError and DebianError.
    """
    freezer.freeze(ARCHES[arch], scratch / "output")
    program = f"{_DIRECTORIES['libexecdir']}/{freezer.NAME}/{freezer.NAME}"
    link = os.path.relpath(program, _DIRECTORIES["bindir"])
    variables = {
        **_DIRECTORIES,
        "D": str(output),
        "DEVICE_LIST_STRATEGY": "envvar",  # with WR_NVIDIA_K8S_SECURE as it is unless an image sets it
        "UNPACKDIR": str(FOLDER / "files"),
        "PYINSTALLER_DESTDIR": _DIRECTORIES["libexecdir"],
        "PYINSTALLER_NAME": freezer.NAME,
        "PYINSTALLER_WORKDIR": str(scratch),
    }
    install = _function("pyinstaller_do_install", CLASS).replace("${@pyinstaller_link(d)}", link)
    commands = install + _function("do_install:append", _recipe())
    # As BitBake does, before the shell sees them: in single quotes as well.
    commands = re.sub(r"\$\{(\w+)\}", lambda match: variables.get(match[1], match[0]), commands)
    done = subprocess.run(
        ["bash", "-euc", f"umask 022\n{commands}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PackageError(f"the install commands of {_recipe()} and {CLASS} failed: {done.stderr.strip()}")


def from_rpm(rpm: Path, output: Path) -> None:
    """Unpack the package that BitBake made into the folder `output`. Raises PackageError."""
    if not rpm.is_file():
        raise PackageError(f"expected an rpm package at {rpm}, found none")
    output.mkdir(parents=True, exist_ok=True)
    for tool in ("rpm2cpio", "cpio"):
        if not shutil.which(tool):
            raise PackageError(f"expected the command {tool}, found none; apt-get install {tool}")
    with subprocess.Popen(["rpm2cpio", rpm], stdout=subprocess.PIPE) as archive:
        command = ["cpio", "--quiet", "--extract", "--make-directories", "--no-absolute-filenames"]
        done = subprocess.run(
            command, cwd=output, stdin=archive.stdout, stderr=subprocess.PIPE, text=True, check=False
        )
    if archive.returncode or done.returncode:
        raise PackageError(f"{rpm} cannot be unpacked: {done.stderr.strip()}")
