SUMMARY = "Debian's compiler for the target"

PN = "gcc-cross-${TARGET_ARCH}"
PROVIDES = "${PN} virtual/${TARGET_PREFIX}gcc virtual/${TARGET_PREFIX}g++"
STUB_TOOLS = "cpp gcc gcc-ar gcc-nm gcc-ranlib"

inherit stub-cross

DEPENDS = "virtual/${TARGET_PREFIX}binutils"
