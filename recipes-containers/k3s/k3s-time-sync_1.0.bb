SUMMARY = "k3s starts when the clock is right"
DESCRIPTION = "A machine without a battery for its clock starts with the time of its image. The certificates that k3s \
makes then would have expired as soon as a time server answers: k3s waits for it, but not for ever."
HOMEPAGE = "https://www.freedesktop.org/software/systemd/man/latest/systemd-time-wait-sync.service.html"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COREBASE}/meta/COPYING.MIT;md5=3da9cfbcb788c80a0384361b4de20420"

SRC_URI = "file://k3s-time-sync.service"

S = "${UNPACKDIR}"

inherit allarch features_check systemd

REQUIRED_DISTRO_FEATURES = "systemd"

SYSTEMD_SERVICE:${PN} = "k3s-time-sync.service"

# How long k3s waits, in seconds.
K3S_TIME_SYNC_SECONDS ?= "60"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0644 -t ${D}${systemd_system_unitdir} ${UNPACKDIR}/k3s-time-sync.service
    sed -i -e 's,@SECONDS@,${K3S_TIME_SYNC_SECONDS},' -e 's,@SYSTEMD@,${systemd_unitdir},' \
        ${D}${systemd_system_unitdir}/k3s-time-sync.service
}

# timeout(1), which busybox has only where it is configured.
RDEPENDS:${PN} = "coreutils"
