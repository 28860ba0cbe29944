# SPDX-License-Identifier: MIT
"""`ldd` and `ldconfig` for a sysroot, with output in glibc's format.

python -m pyinstaller_cross.tools ldd|ldconfig CONFIG ARGUMENT...
"""

from __future__ import annotations

import os
import pathlib
import sys

from . import config as configuration
from . import shims


def ldd(config: configuration.Config, files: list[str]) -> int:
    """Print the libraries that each file pulls in, like ldd(1). Without files: only tell the C library, as they do."""
    if not files:
        musl = any("-musl" in path.name for path in config.on_target("/lib").glob("ld-*"))
        print("musl libc" if musl else "ldd: missing file arguments", file=sys.stderr)
        return 1
    status = 0
    resolver = shims.resolver(config)
    for file in files:
        libraries = resolver.dependencies(pathlib.Path(file))
        if libraries is None:
            print("\tnot a dynamic executable", file=sys.stderr)
            status = 1
            continue
        for name, path in libraries.items():
            print(f"\t{name} => {path} (0x0)" if path else f"\t{name} => not found")
    return status


def ldconfig(config: configuration.Config, arguments: list[str]) -> int:
    """Print the library cache, like `ldconfig -p`, the one use that reads only."""
    if arguments != ["-p"]:
        print(f"ldconfig: expected -p, found {' '.join(arguments)!r}: a sysroot is not changed", file=sys.stderr)
        return 1
    cache = shims.resolver(config).cache()
    print(f"{len(cache)} libs found in cache `{config.sysroot}'")
    for name, path in cache.items():
        print(f"\t{name} (libc6) => {path}")
    return 0


def main() -> int:
    tool, config_file, *arguments = sys.argv[1:]
    config = configuration.load(pathlib.Path(config_file))
    return {"ldd": ldd, "ldconfig": ldconfig}[tool](config, arguments)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        os._exit(1)
