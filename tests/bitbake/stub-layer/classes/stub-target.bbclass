# A stand-in for the target is staged and described, never judged or installed: its packages are not ours.
inherit stub

# Packaging reads the libraries with the target's objdump.
DEPENDS:append = " virtual/${TARGET_PREFIX}binutils"
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"
# What each file needs and offers takes rpm long to find out, and is of use for the C library's alone.
SKIP_FILEDEPS ?= "1"

deltask do_package_qa
deltask do_package_write_rpm
