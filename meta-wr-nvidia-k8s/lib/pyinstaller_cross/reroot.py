# SPDX-License-Identifier: MIT
"""Make a native interpreter answer like the target's: where modules are, what they are called, what machine this is.

Two things keep the build machine out of the result:

* ``sys.path`` is the target's before PyInstaller is even imported, because modulegraph takes it over when its graph
  is made; changed later, extension modules of the build machine are bundled without a warning.
* Directories of the target are read by a finder that knows the target's suffixes. It finds the target's extension
  modules but refuses to load them, even where the processor could: a sysroot may be compiled for a newer processor
  or C library than the build machine has.

What this process itself needs (PyInstaller, and extension modules of the standard library) is found by name in the
native interpreter's own directories. Only the standard library is imported here: under qemu, this runs on the target's
interpreter.
"""

from __future__ import annotations

import ast
import ctypes.util
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import os
import pathlib
import platform
import re
import site
import sys
import sysconfig
import typing

from . import config as configuration
from .errors import FreezeError

# Found in the native interpreter's directories whatever the target has: PyInstaller and what it is made of.
NATIVE_PACKAGES = ("PyInstaller", "_pyinstaller_hooks_contrib", "altgraph", "elftools", "pyinstaller_cross")
# The same, but only where the target has none: the program may use these as well, and hooks ask where they are.
# (packaging before 22, as in kirkstone, needs pyparsing.)
NATIVE_FALLBACKS = ("packaging", "pyparsing")
# What the freeze prepares in its scratch directory: sysconfig data without build paths, names of built-in modules.
CLEAN_SYSCONFIG = "sysconfig"
BUILTIN_MODULES = "builtin-modules"

HOOKS_DISTRIBUTION = "pyinstaller-hooks-contrib"

NATIVE_SUFFIXES = list(importlib.machinery.EXTENSION_SUFFIXES)

# Modules that are compiled into every interpreter under a name without the usual PyInit_ symbol.
ALWAYS_BUILTIN = ("_warnings", "builtins", "marshal", "sys")


class TargetExtensionLoader(importlib.machinery.ExtensionFileLoader):
    """Finds extension modules of the target, but never loads them.

    In its place a module of the standard library is loaded from the native interpreter's directories.
    """

    native_path: typing.ClassVar[list[str]] = []

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> typing.Any:
        if pathlib.Path(spec.origin or "").parent.name == "lib-dynload":
            for directory in self.native_path:
                loaders = (importlib.machinery.ExtensionFileLoader, NATIVE_SUFFIXES)
                native = importlib.machinery.FileFinder(directory, loaders).find_spec(spec.name)
                if native is not None:
                    return super().create_module(native)
        raise ImportError(
            f"{spec.origin} is compiled for the target, and this is the build machine's interpreter; name what "
            "importing it would have told as hidden imports, or let child processes run under qemu",
            name=spec.name,
        )


class NativeFinder(importlib.abc.MetaPathFinder):
    """Finds top-level modules of the native interpreter: `packages` by their names, any in `extension_path`."""

    def __init__(self, path: list[str], packages: tuple[str, ...], extension_path: list[str]) -> None:
        self.path = path
        self.packages = packages
        self.extension_path = extension_path

    def find_spec(
        self, fullname: str, path: typing.Any = None, _target: typing.Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        where = self.path if fullname in self.packages else self.extension_path
        if path is not None or not where:
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, where)

    def find_distributions(self, context: typing.Any = None) -> typing.Iterable[importlib.metadata.Distribution]:
        """Only the contributed hooks, whose entry point PyInstaller looks for."""
        name = getattr(context, "name", None) or HOOKS_DISTRIBUTION
        if "PyInstaller" in self.packages and re.sub("[-_.]+", "-", name).lower() == HOOKS_DISTRIBUTION:
            search = importlib.metadata.DistributionFinder.Context(name=HOOKS_DISTRIBUTION, path=self.path)
            yield from importlib.metadata.MetadataPathFinder.find_distributions(search)


def read_sysconfig(stdlib: pathlib.Path) -> tuple[list[str], dict[str, typing.Any]]:
    """Return the names and the variables of the sysconfig data in a standard library's directory.

    The file is one assignment of a literal (Lib/sysconfig, _generate_posix_vars), so nothing of it is run. Debian has
    the same data under two names.
    """
    files = sorted(stdlib.glob("_sysconfigdata_*.py"))
    for file in files:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
                return [path.stem for path in files], ast.literal_eval(node.value)
    raise FreezeError(
        f"{stdlib}: expected the target's _sysconfigdata_*.py with its build-time variables, "
        f"found {', '.join(path.name for path in files) or 'none'}; is the sysroot complete?"
    )


def extension_suffixes(variables: dict[str, typing.Any]) -> list[str]:
    """Return importlib.machinery.EXTENSION_SUFFIXES of the target (Python/dynload_shlib.c)."""
    own = str(variables.get("EXT_SUFFIX") or "")
    if not own.endswith(".so"):
        raise FreezeError(f"the target's sysconfig: expected EXT_SUFFIX to end in .so, found {own!r}")
    return [own, ".abi3.so", ".so"] if own != ".so" else [".abi3.so", ".so"]


def builtin_modules(symbols: set[str]) -> tuple[str, ...]:
    """Return sys.builtin_module_names of an interpreter whose library exports `symbols`."""
    named = {symbol.removeprefix("PyInit_") for symbol in symbols if symbol.startswith("PyInit_")}
    return tuple(sorted(named.union(ALWAYS_BUILTIN)))


def _own_path_hook(path: list[str], suffixes: list[str]) -> typing.Callable[[str], typing.Any]:
    loaders = (
        (TargetExtensionLoader, suffixes),
        (importlib.machinery.SourceFileLoader, importlib.machinery.SOURCE_SUFFIXES),
        (importlib.machinery.SourcelessFileLoader, importlib.machinery.BYTECODE_SUFFIXES),
    )
    roots = tuple(os.path.realpath(entry) for entry in path)

    def hook(directory: str) -> typing.Any:
        real = os.path.realpath(directory)
        if not pathlib.Path(real).is_dir() or not any(real == root or real.startswith(root + "/") for root in roots):
            raise ImportError("not a directory of the target", path=directory)
        return importlib.machinery.FileFinder(directory, *loaders)

    return hook


def _interpreter(config: configuration.Config, module_path: list[str], variables: dict[str, typing.Any]) -> None:
    """Everything about modules: the search path, suffixes, prefixes and sysconfig."""
    suffixes = extension_suffixes(variables)
    importlib.machinery.EXTENSION_SUFFIXES[:] = suffixes
    sys.path[:] = module_path
    sys.path_hooks.insert(0, _own_path_hook([*module_path, str(config.sysroot)], suffixes))
    sys.path_importer_cache.clear()

    prefix = str(config.on_target(config.prefix))
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
        setattr(sys, name, prefix)
    site_packages = [str(config.on_target(path)) for path in config.site_packages]
    site.PREFIXES[:] = [prefix]
    site.getsitepackages = lambda _prefixes=None: list(site_packages)  # type: ignore[assignment]
    site.getusersitepackages = lambda: str(config.sysroot / "no-user-site")

    multiarch = re.sub(r"^\.cpython-\w+?-|\.so$", "", suffixes[0])
    sys.implementation._multiarch = multiarch  # type: ignore[attr-defined]
    for name in [name for name in sys.modules if name.startswith("_sysconfigdata")]:
        del sys.modules[name]
    importlib.reload(sysconfig)


def _machine(config: configuration.Config) -> None:
    bits = "32bit" if config.machine in ("armv7l", "i686") else "64bit"
    platform.machine = lambda: config.machine
    platform.architecture = lambda *_args, **_kwargs: (bits, "ELF")

    def find_library(name: str) -> str | None:
        for directory in config.library_dirs:
            found = sorted(config.on_target(directory).glob(f"lib{name}.so.*"), key=lambda path: len(path.name))
            if found:
                return found[0].name
        return None

    # ctypes.util runs /sbin/ldconfig and the build machine's compiler by absolute path: no shim reaches that.
    ctypes.util.find_library = find_library


def apply(config: configuration.Config, *, child: bool) -> None:
    """Re-root this process. `child` is true in the processes in which PyInstaller imports what it looks at."""
    under_qemu = child and config.child == "qemu"
    native_path = os.environ["PYINSTALLER_CROSS_NATIVE_PATH"].split(os.pathsep)
    extension_path = [] if under_qemu else [entry for entry in native_path if entry.endswith("/lib-dynload")]
    sys.meta_path.insert(0, NativeFinder(native_path, NATIVE_PACKAGES, []))
    sys.meta_path.append(NativeFinder(native_path, NATIVE_FALLBACKS, extension_path))
    if under_qemu:
        sys.path[:] = config.module_path
        return
    TargetExtensionLoader.native_path = extension_path
    clean = config.work / CLEAN_SYSCONFIG
    _, variables = read_sysconfig(clean)
    _interpreter(config, [str(clean), *config.module_path], variables)
    _machine(config)
    if not child:
        sys.executable = str(config.work / "bin" / "child-python")
        sys._base_executable = sys.executable  # type: ignore[attr-defined]


def from_environment(*, child: bool) -> configuration.Config:
    """Re-root this process by the configuration file that the environment names."""
    config = configuration.load(pathlib.Path(os.environ["PYINSTALLER_CROSS_CONFIG"]))
    apply(config, child=child)
    return config
