# SPDX-License-Identifier: MIT
"""Freeze the device plugin for Debian on any architecture: the front end of pyinstaller_cross for this machine."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.cache import Cached, say
from wr_nvidia_k8s.common.errors import OutputError
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.common.process import run
from wr_nvidia_k8s.common.scratch import owned
from wr_nvidia_k8s.freeze import parts
from wr_nvidia_k8s.freeze.parts import PYTHON, Arch, FreezeError

MODULE = TOP / "meta-wr-nvidia-k8s" / "lib"
NAME = "nvidia-device-plugin"


def configuration(arch: Arch, output: Path, scratch: Path) -> dict[str, object]:
    """Make what is missing and return the configuration of pyinstaller_cross."""
    return {
        "settings": str(parts.PLUGIN / "freeze.json"),
        "name": NAME,
        "sysroot": str(parts.sysroot(arch)),
        "machine": arch.machine,
        "stdlib": f"/usr/lib/{PYTHON}",
        "site_packages": [f"/usr/lib/{PYTHON}/site-packages"],
        "library_dirs": [f"/usr/lib/{arch.triplet}", "/usr/lib"],
        "python_path": [str(parts.plugin())],
        "bootloader": str(parts.bootloader(arch)),
        "tools": {name: [f"{arch.triplet}-{name}"] for name in ("strip", "objcopy", "objdump")},
        "output": str(output.resolve()),
        "work": str(scratch / "work"),
        "build_paths": [str(cache.root()), str(TOP)],
    }


def check_output(output: Path) -> None:
    """See that the program can be put into ``output``, and that nothing is lost by it. Raises OutputError."""
    existing = next(path for path in (output.absolute(), *output.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise OutputError(f"--output: expected a folder, or nothing yet, found a file: {existing}")
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise OutputError(
            f"--output: expected a folder that can be written to, found {existing}: {error.strerror}; name another one"
        ) from None
    program = output / NAME
    if os.path.lexists(program) and not _is_ours(program):
        raise OutputError(
            f"--output: expected at {program} nothing, or what a freeze has put there, found something else, "
            "which would be lost; move it away, or name another folder"
        )


def _is_ours(folder: Path) -> bool:
    """Whether ``folder`` holds a frozen program (PyInstaller's onedir) and nothing else."""
    if folder.is_symlink() or not folder.is_dir() or {path.name for path in folder.iterdir()} != {NAME, "_internal"}:
        return False
    with (folder / NAME).open("rb") as program:
        return program.read(4) == b"\x7fELF"


def freeze(arch: Arch, output: Path, *, refresh: bool = False) -> Path:
    """Freeze for `arch` and return the folder that was put in place.

    Raises OutputError, FreezeError and DebianError; then ``output`` is as it was.
    """
    check_output(output)
    parts.sysroot(arch, refresh=refresh)
    frozen = _frozen(arch).get(lambda folder: _freeze(arch, folder), refresh=refresh)
    try:
        return _put_in_place(frozen / NAME, output)
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error.strerror}") from error


def _frozen(arch: Arch) -> Cached:
    """The result, which is the same whenever all that it is made from is: quickstart, boot-test and scripts/freeze
    share it."""
    inputs = configuration(arch, Path("/output"), Path("/scratch"))
    # Where this checkout is makes no difference to it.
    inputs = {name: value for name, value in inputs.items() if name not in ("build_paths", "settings")}
    program = sorted(path for path in (MODULE / "pyinstaller_cross").iterdir() if path.is_file())
    kind = f"freeze/frozen/{arch.debian}"
    return Cached(kind, json.dumps(inputs), str(parts.python()), parts.PLUGIN / "freeze.json", *program)


def _freeze(arch: Arch, into: Path) -> None:
    """Freeze for `arch`, and put the result into the folder ``into``. Raises FreezeError and DebianError."""
    with owned(cache.root() / "freeze" / "scratch", f"{arch.debian}-") as scratch:
        config_file = scratch / "config.json"
        config_file.write_text(json.dumps(configuration(arch, scratch / "output", scratch), indent=2), encoding="utf-8")
        say(f"freeze: freezing for {arch.debian}")
        command = [parts.python(), "-B", "-m", "pyinstaller_cross", config_file]
        environment = {**parts.pip_environment(), "PYTHONPATH": str(MODULE)}
        # After a failure the folder stays until the next freeze: the message names the log in there.
        run(command, error=FreezeError, what="freezing", env=environment)
        (scratch / "output" / NAME).rename(into / NAME)


def _put_in_place(result: Path, output: Path) -> Path:
    """Move the folder ``result`` into ``output`` by renaming; what was there stays whole until then."""
    output.mkdir(parents=True, exist_ok=True)
    final = output / NAME
    with (
        cache.alone(cache.root() / "freeze" / ".output.lock", "freeze that puts its result in place"),
        tempfile.TemporaryDirectory(prefix=f".{NAME}-", dir=output) as staging,
    ):
        new = Path(staging, NAME)
        shutil.copytree(result, new, symlinks=True)
        check_output(output)  # it has been a while
        if final.exists():
            final.rename(Path(staging, "old"))
        new.rename(final)
    return final
