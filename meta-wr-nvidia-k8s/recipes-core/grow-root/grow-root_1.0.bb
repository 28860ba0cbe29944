SUMMARY = "Root file system as large as its disk"
DESCRIPTION = "An image is as large as its content and a little more. At boot, its root partition and file system grow \
to the end of the card, drive or disk that it was written to."
HOMEPAGE = "https://www.freedesktop.org/software/systemd/man/latest/systemd-growfs.html"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COREBASE}/meta/COPYING.MIT;md5=3da9cfbcb788c80a0384361b4de20420"

SRC_URI = " \
    file://grow-root \
    file://grow-root.service \
"

S = "${UNPACKDIR}"

inherit allarch features_check systemd

REQUIRED_DISTRO_FEATURES = "systemd"

SYSTEMD_SERVICE:${PN} = "grow-root.service"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0755 -t ${D}${libexecdir} ${UNPACKDIR}/grow-root
    install -D -m 0644 -t ${D}${systemd_system_unitdir} ${UNPACKDIR}/grow-root.service
    sed -i -e 's,@LIBEXECDIR@,${libexecdir},' ${D}${systemd_system_unitdir}/grow-root.service
    sed -i -e 's,@SYSTEMD@,${systemd_unitdir},' ${D}${libexecdir}/grow-root
}

RDEPENDS:${PN} = "util-linux-partx util-linux-sfdisk"
