# What all stand-ins have in common: nothing to fetch, patch or build, and no dependencies of their own.
LICENSE = "CLOSED"
INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_SYSROOT_STRIP = "1"
PATCHDEPENDENCY = ""
do_fetch[noexec] = "1"
do_patch[noexec] = "1"
do_configure[noexec] = "1"
do_compile[noexec] = "1"
