SUMMARY = "Debian's C library for the target"

DEBIAN_PACKAGES = "libc6 libc6-dev linux-libc-dev"
SKIP_FILEDEPS = "0"

inherit stub-debian

PROVIDES += "virtual/libc virtual/libiconv virtual/libintl linux-libc-headers"

do_install:append() {
    # These are linker scripts, which name the files of Debian's layout.
    for script in libc.so libm.so libm.a; do
        if head -c 100 ${D}${libdir}/$script | grep -q "GNU ld script"; then
            sed -i "s,\(/usr\)\?/lib\(64\|/${DEBIAN_MULTIARCH}\)\?/,${libdir}/,g" ${D}${libdir}/$script
        fi
    done
    rm -rf ${D}${libdir}/gconv ${D}${libdir}/audit
}
