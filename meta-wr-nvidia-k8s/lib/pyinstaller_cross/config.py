# SPDX-License-Identifier: MIT
"""The configuration file: one JSON object with everything a freeze depends on.

A settings file (the key `settings`) may be shipped next to the program; it holds any of `script`, `hidden_imports`,
`excludes` and `extra_args`. Lists are joined, a `script` in the configuration itself wins.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import typing

from .errors import FreezeError

# glibc's own libraries and musl's, and nothing else.
C_LIBRARY = (
    r"ld(64)?(-linux|-musl)?(-.+)?\.so(\..+)?",
    r"libc\.musl-.+\.so\..+",
    r"lib(c|m|dl|rt|pthread|util|resolv|anl|mvec|nss_\w+|BrokenLocale|thread_db)\.so(\..+)?",
)

SHIPPABLE = ("script", "hidden_imports", "excludes", "extra_args")


@dataclasses.dataclass(frozen=True)
class Config:
    """Paths are absolute. "On the target" means: as the target sees it, looked up below `sysroot`.

    name            file name of the program, and of its directory in `output`
    script          a script, or an entry point `package.module:function` whose result is the exit status
    sysroot         a directory tree of the target: its Python library and the shared libraries
    machine         what `uname -m` says on the target
    prefix          sys.prefix on the target
    stdlib          directory of the standard library on the target
    python_path     directories to look for modules in, on this machine, before the sysroot's own
    site_packages   the same, on the target
    library_dirs    where ld.so looks by itself, on the target
    bootloader      directory with PyInstaller's `run` (and `run_d`) compiled for the target
    tools           commands for `strip`, `objcopy` and `objdump` that understand the target's files
    output          where the directory `name` (onedir) or the file `name` (onefile) is put, replacing an older one
    work            scratch directory of this freeze; its log is `pyinstaller.log` in there
    build_paths     directories of the build machine whose names must not be found in the result
    system_libraries  regular expressions of the libraries that the target has for certain: never bundled
    child           interpreter of PyInstaller's child processes: `native`, or the target's under `qemu`
    qemu            the command for that, without the interpreter
    target_python   and the interpreter, on this machine
    strip           let PyInstaller strip what it collects
    """

    name: str
    script: str
    sysroot: pathlib.Path
    machine: str
    stdlib: str
    library_dirs: list[str]
    bootloader: pathlib.Path
    output: pathlib.Path
    work: pathlib.Path
    prefix: str = "/usr"
    mode: str = "onedir"
    python_path: list[str] = dataclasses.field(default_factory=list)
    site_packages: list[str] = dataclasses.field(default_factory=list)
    hidden_imports: list[str] = dataclasses.field(default_factory=list)
    excludes: list[str] = dataclasses.field(default_factory=list)
    extra_args: list[str] = dataclasses.field(default_factory=list)
    tools: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    build_paths: list[str] = dataclasses.field(default_factory=list)
    system_libraries: list[str] = dataclasses.field(default_factory=lambda: list(C_LIBRARY))
    child: str = "native"
    qemu: list[str] = dataclasses.field(default_factory=list)
    target_python: str = ""
    optimize: int = 2
    strip: bool = True
    source_date_epoch: int = 1

    def on_target(self, path: str) -> pathlib.Path:
        """Where an absolute path of the target is on this machine."""
        return self.sysroot / path.lstrip("/")

    @property
    def module_path(self) -> list[str]:
        """sys.path of the target, as directories of this machine, in order."""
        on_target = [self.stdlib, self.stdlib + "/lib-dynload", *self.site_packages]
        return [*self.python_path, *(str(self.on_target(path)) for path in on_target)]

    def is_system_library(self, name: str) -> bool:
        return any(re.fullmatch(pattern, name) for pattern in self.system_libraries)


def _checked(source: str, data: object, names: typing.Iterable[str]) -> dict[str, typing.Any]:
    """Check keys and types of a JSON object against Config's. Raises FreezeError naming the key."""
    if not isinstance(data, dict):
        raise FreezeError(f"{source}: expected a JSON object, found {type(data).__name__}")
    types = typing.get_type_hints(Config)
    allowed = set(names)
    for key, value in data.items():
        if key not in allowed:
            raise FreezeError(f"{source}: unknown key {key!r}, expected some of: {', '.join(sorted(allowed))}")
        kind = types[key]
        expected = typing.get_origin(kind) or (str if kind is pathlib.Path else kind)
        if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
            raise FreezeError(f"{source}: {key}: expected {expected.__name__}, found {value!r}")
        if expected is list and not all(isinstance(item, str) for item in value):
            raise FreezeError(f"{source}: {key}: expected a list of strings, found {value!r}")
        if kind is pathlib.Path and not value.startswith("/"):
            raise FreezeError(f"{source}: {key}: expected an absolute path, found {value!r}")
    return data


def _read_json(path: pathlib.Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FreezeError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise FreezeError(f"{path}: expected JSON: {error}") from None


def load(path: pathlib.Path) -> Config:
    """Read a configuration file. Raises FreezeError that names the file, the key and what was expected there."""
    fields = {field.name: field for field in dataclasses.fields(Config)}
    raw = _read_json(path)
    settings_path = raw.pop("settings", None) if isinstance(raw, dict) else None
    data = _checked(str(path), raw, fields)
    if settings_path:
        shipped = _checked(settings_path, _read_json(pathlib.Path(settings_path)), SHIPPABLE)
        data = {
            **data,
            **{key: shipped[key] + data.get(key, []) for key in SHIPPABLE[1:] if key in shipped},
            "script": data.get("script") or shipped.get("script", ""),
        }
    required = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if missing := [name for name in required if not data.get(name)]:
        raise FreezeError(f"{path}: expected a value for {', '.join(missing)}")
    for key, choices in (("mode", ("onedir", "onefile")), ("child", ("native", "qemu"))):
        if data.get(key, choices[0]) not in choices:
            raise FreezeError(f"{path}: {key}: expected {' or '.join(choices)}, found {data[key]!r}")
    if data.get("child") == "qemu" and not (data.get("qemu") and data.get("target_python")):
        raise FreezeError(f"{path}: child: 'qemu' needs the keys qemu (a command) and target_python (an interpreter)")
    types = typing.get_type_hints(Config)
    for key in data:
        if types[key] is pathlib.Path:
            data[key] = pathlib.Path(data[key])
    return Config(**data)
