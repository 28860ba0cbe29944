# SPDX-License-Identifier: MIT
"""Freeze a Python program for another machine with an unmodified PyInstaller.

PyInstaller freezes for the interpreter it runs on. Here the build machine's own ("native") interpreter runs it,
but whatever PyInstaller asks about its environment is answered from a sysroot of the target:

* ``reroot``  the module search path, extension suffixes, prefixes, sysconfig, platform and built-in modules;
* ``shims``   ``ldd``, ``ldconfig``, ``objcopy``, ``objdump`` and ``strip`` at the front of PATH, and the interpreter
              of the child processes in which PyInstaller imports things;
* ``verify``  the result, because files of the build machine can get into it without a warning.

A build for the build machine's own architecture works the same way, with a sysroot of that architecture.

In this package, everything it needs to know is in one configuration file (``config``), user errors are
``FreezeError`` and become an exit code in ``__main__`` only.
"""
