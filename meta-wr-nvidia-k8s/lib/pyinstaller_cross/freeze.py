# SPDX-License-Identifier: MIT
"""A complete freeze: prepare, run PyInstaller, verify, put in place."""

from __future__ import annotations

import os
import pathlib
import pprint
import re
import shutil
import subprocess
import sys

from . import elf, reroot, shims, verify
from .config import Config
from .errors import FreezeError, VerificationError

LOG = "pyinstaller.log"
CONTENTS = "_internal"


def _clean_sysconfig(config: Config) -> None:
    """Write a copy of the target's sysconfig data without the values that name directories of the build machine.

    A staged file of OE-core's names its work directory and the recipe sysroots.
    """
    names, variables = reroot.read_sysconfig(config.on_target(config.stdlib))
    clean = {
        key: "" if isinstance(value, str) and any(path in value for path in config.build_paths) else value
        for key, value in variables.items()
    }
    directory = config.work / reroot.CLEAN_SYSCONFIG
    directory.mkdir()
    for name in names:
        (directory / f"{name}.py").write_text(f"build_time_vars = {pprint.pformat(clean)}\n", encoding="utf-8")


def _builtin_modules(config: Config) -> None:
    """Record which modules are compiled into the target's Python library."""
    _, variables = reroot.read_sysconfig(config.on_target(config.stdlib))
    name = str(variables.get("INSTSONAME") or "")
    library = shims.resolver(config).find(name, []) if ".so" in name else None
    if library is None:
        raise FreezeError(
            f"{config.sysroot}: expected the target's Python library {name or 'libpython'} in "
            f"{', '.join(config.library_dirs)}, found none; is the sysroot complete, and `machine` right?"
        )
    symbols = elf.exported_symbols(library)
    names = reroot.builtin_modules(symbols)
    (config.work / reroot.BUILTIN_MODULES).write_text("\n".join(names) + "\n", encoding="utf-8")


def _check_versions(config: Config) -> None:
    native = f"python{sys.version_info.major}.{sys.version_info.minor}"
    target = pathlib.PurePosixPath(config.stdlib).name
    if target != native:
        raise FreezeError(
            f"the build machine's interpreter and the target's must be of the same minor version, because byte code "
            f"is: expected {target}, found {native} ({sys.executable})"
        )


def _entry_script(config: Config) -> pathlib.Path:
    match = re.fullmatch(r"([\w.]+):(\w+)", config.script)
    if not match:
        script = pathlib.Path(config.script)
        if not script.is_file():
            raise FreezeError(f"script: expected a file or package.module:function, found {config.script!r}")
        return script
    module, function = match.groups()
    script = config.work / "entry" / f"{config.name}.py"
    script.parent.mkdir()
    script.write_text(f"import sys\nfrom {module} import {function}\n\nsys.exit({function}())\n", encoding="utf-8")
    return script


def _arguments(config: Config) -> list[str]:
    arguments = ["--noconfirm", "--log-level=INFO", f"--{config.mode}", f"--name={config.name}"]
    arguments += [f"--optimize={config.optimize}", "--noupx", f"--contents-directory={CONTENTS}"]
    arguments += [f"--{kind}path={config.work / kind}" for kind in ("dist", "work", "spec")]
    arguments += ["--strip"] if config.strip else []
    arguments += [f"--hidden-import={module}" for module in config.hidden_imports]
    arguments += [f"--exclude-module={module}" for module in config.excludes]
    return [*arguments, *config.extra_args, str(_entry_script(config))]


def _run_pyinstaller(config: Config, environment: dict[str, str]) -> str:
    command = [sys.executable, "-B", "-m", "pyinstaller_cross.analyse", *_arguments(config)]
    log_file = config.work / LOG
    with log_file.open("wb") as log:
        # Its working directory is where PyInstaller looks for a script's relative names, and what `import` must not.
        status = subprocess.run(
            command, env=environment, cwd=config.work, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        ).returncode
    text = log_file.read_text(encoding="utf-8", errors="replace")
    if status:
        tail = "\n".join(text.splitlines()[-15:])
        raise FreezeError(f"PyInstaller ended with {status}; the end of {log_file}:\n{tail}")
    return text


def _verify(config: Config, log: str) -> pathlib.Path:
    result = config.work / "dist" / config.name
    problems = verify.log_problems(log)
    if config.mode == "onedir":
        problems += verify.elf_problems(config, result, result / CONTENTS)
        problems += verify.build_path_problems(config, result)
    else:
        from . import contents

        unpacked = config.work / "unpacked"
        contents.unpack(result, unpacked / CONTENTS)
        shutil.copy(result, unpacked)
        problems += verify.elf_problems(config, unpacked, unpacked / CONTENTS)
        problems += verify.build_path_problems(config, result.parent)
    if problems:
        raise VerificationError(problems)
    return result


def _put_in_place(config: Config, result: pathlib.Path) -> pathlib.Path:
    """Move the result to the output directory by renaming; what was there stays whole until then."""
    config.output.mkdir(parents=True, exist_ok=True)
    final = config.output / config.name
    new = config.output / f".{config.name}.new-{os.getpid()}"
    old = config.output / f".{config.name}.old-{os.getpid()}"
    if result.is_dir():
        shutil.copytree(result, new, symlinks=True)
    else:
        shutil.copy2(result, new)
    stamp = (config.source_date_epoch, config.source_date_epoch)
    for path in [new, *new.rglob("*")]:
        os.utime(path, stamp, follow_symlinks=False)
    if final.exists():
        final.rename(old)
    new.rename(final)
    if old.is_dir():
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)
    return final


def freeze(config: Config, config_file: pathlib.Path) -> pathlib.Path:
    """Freeze a program and return the directory (onedir) or file (onefile) that was put in place.

    Raises FreezeError where the configuration does not fit what is there, VerificationError where the result would
    not run; then `output` is as it was before, and `work` holds what was made.
    """
    _check_versions(config)
    if config.work.exists():
        shutil.rmtree(config.work)
    config.work.mkdir(parents=True)
    environment = shims.make(config, config_file)
    _clean_sysconfig(config)
    _builtin_modules(config)
    log = _run_pyinstaller(config, environment)
    # The archive reader imports PyInstaller, and that runs ldd.
    os.environ["PATH"] = environment["PATH"]
    return _put_in_place(config, _verify(config, log))
