# A recipe whose files are those of Debian's packages for the target: DEBIAN_PACKAGES names them. The harness
# has put the .deb files in STUB_DEBS/ARCHITECTURE. Debian's multiarch folders become OE's ${libdir} and
# ${includedir}.
LICENSE ?= "CLOSED"
INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"
INHIBIT_SYSROOT_STRIP = "1"
# Not our packages to judge, and never installed.
do_package_qa[noexec] = "1"
deltask do_package_write_rpm

DEBIAN_PACKAGES ?= ""
DEBIAN_ARCH = "amd64"
DEBIAN_ARCH:aarch64 = "arm64"
DEBIAN_MULTIARCH = "x86_64-linux-gnu"
DEBIAN_MULTIARCH:aarch64 = "aarch64-linux-gnu"

do_unpack[cleandirs] += "${WORKDIR}/debian"
stub_debian_unpack() {
    for package in ${DEBIAN_PACKAGES}; do
        dpkg-deb --extract ${STUB_DEBS}/${DEBIAN_ARCH}/${package}_*.deb ${WORKDIR}/debian
    done
}
python do_unpack:append() {
    bb.build.exec_func("stub_debian_unpack", d)
}

do_install() {
    root=${WORKDIR}/debian
    install -d ${D}${libdir} ${D}${includedir}
    for folder in $root/lib/${DEBIAN_MULTIARCH} $root/usr/lib/${DEBIAN_MULTIARCH}; do
        [ ! -d $folder ] || cp -dR --preserve=mode,links $folder/. ${D}${libdir}/
    done
    if [ -d $root/usr/include ]; then
        cp -dR --preserve=mode,links $root/usr/include/. ${D}${includedir}/
        if [ -d ${D}${includedir}/${DEBIAN_MULTIARCH} ]; then
            cp -dR --preserve=mode,links ${D}${includedir}/${DEBIAN_MULTIARCH}/. ${D}${includedir}/
            rm -r ${D}${includedir}/${DEBIAN_MULTIARCH}
        fi
    fi
}
