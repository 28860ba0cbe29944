# SPDX-License-Identifier: MIT
"""Freeze a Python program for another machine with an unmodified PyInstaller.

PyInstaller freezes for the interpreter it runs on. Here the build machine's own ("native") interpreter runs it,
but everything PyInstaller asks about its surroundings is answered from a sysroot of the target:

* ``reroot``  the module search path, extension suffixes, prefixes, sysconfig, platform and built-in modules;
* ``shims``   ``ldd``, ``ldconfig``, ``objcopy``, ``objdump`` and ``strip`` at the front of PATH, and the interpreter
              of the child processes in which PyInstaller imports things;
* ``verify``  what came out, since the ways in which a file of the build machine can slip in are silent ones.

A build for the build machine's own architecture goes the same way, with a sysroot of that architecture.

The rule in this package: everything it needs to know is in one configuration file (``config``), user errors are
``FreezeError`` and become an exit code in ``__main__`` only.
"""
