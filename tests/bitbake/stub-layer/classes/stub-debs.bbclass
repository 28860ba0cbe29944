# Unpacks Debian's packages (DEBIAN_PACKAGES) for the machine into DEBIAN_ROOT. The harness has put the .deb
# files in STUB_DEBS/ARCHITECTURE.
inherit stub

DEBIAN_PACKAGES ?= ""
DEBIAN_ROOT = "${WORKDIR}/debian"
DEBIAN_ARCH = "amd64"
DEBIAN_ARCH:aarch64:class-target = "arm64"

stub_debian_unpack() {
    for package in ${DEBIAN_PACKAGES}; do
        dpkg-deb --extract ${STUB_DEBS}/${DEBIAN_ARCH}/${package}_*.deb ${DEBIAN_ROOT}
    done
}
python do_unpack:append() {
    bb.build.exec_func("stub_debian_unpack", d)
}
do_unpack[cleandirs] += "${DEBIAN_ROOT}"
