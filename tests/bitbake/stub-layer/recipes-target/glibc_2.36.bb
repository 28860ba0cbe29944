SUMMARY = "Debian's C library for the target"

DEBIAN_PACKAGES = "libc6 libc6-dev linux-libc-dev"

inherit stub-debian

PROVIDES += "virtual/libc virtual/libiconv virtual/libintl linux-libc-headers"

do_install:append() {
    # The loader's name is part of every program.
    install -d ${D}${base_libdir} ${D}/lib64
    find ${DEBIAN_ROOT}/lib ${DEBIAN_ROOT}/lib64 -maxdepth 1 -name 'ld-linux*' -exec cp -L {} ${D}${base_libdir}/ \; || true
    rmdir ${D}/lib64
    # Linker scripts name the files of the host's layout.
    sed -i "s|/lib/${DEBIAN_MULTIARCH}/\|/usr/lib/${DEBIAN_MULTIARCH}/\|/lib64/|${libdir}/|g" \
        ${D}${libdir}/libc.so
    rm -rf ${D}${libdir}/gconv ${D}${libdir}/audit
}
