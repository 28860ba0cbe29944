SUMMARY = "Debian's binutils for the target"

PN = "binutils-cross-${TARGET_ARCH}"
PROVIDES = "${PN} virtual/${TARGET_PREFIX}binutils"
STUB_TOOLS = "addr2line ar as ld ld.bfd nm objcopy objdump ranlib readelf size strings strip"

inherit stub-cross
