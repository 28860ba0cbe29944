SUMMARY = "Debian's libgcc and libstdc++ for the target"

DEBIAN_PACKAGES = "libgcc-s1 libstdc++6"

inherit stub-debian

PROVIDES += "virtual/${TARGET_PREFIX}compilerlibs libgcc"
PACKAGES =+ "libgcc libstdc++"
FILES:libgcc = "${libdir}/libgcc_s.so.*"
FILES:libstdc++ = "${libdir}/libstdc++.so.*"
