/* SPDX-License-Identifier: MIT */
/* The target's python3 for qemu: a sysroot has the library that Python consists of, but no programs. */
#include <Python.h>

int main(int argc, char **argv)
{
    return Py_BytesMain(argc, argv);
}
