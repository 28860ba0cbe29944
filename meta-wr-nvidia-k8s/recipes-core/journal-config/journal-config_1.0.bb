SUMMARY = "The journal kept over a reboot, bounded, and written once"
DESCRIPTION = "A node's logs of before a reboot say why it was rebooted. /var/log must not be volatile for it: \
VOLATILE_LOG_DIR (kirkstone: VOLATILE_DIR)."
HOMEPAGE = "https://www.freedesktop.org/software/systemd/man/latest/journald.conf.html"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COREBASE}/meta/COPYING.MIT;md5=3da9cfbcb788c80a0384361b4de20420"

SRC_URI = "file://journald.conf"

S = "${UNPACKDIR}"

inherit allarch features_check

REQUIRED_DISTRO_FEATURES = "systemd"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    # After systemd-conf's own 00-systemd-conf.conf.
    install -D -m 0644 ${UNPACKDIR}/journald.conf ${D}${systemd_unitdir}/journald.conf.d/50-journal-config.conf
}

FILES:${PN} += "${systemd_unitdir}/journald.conf.d"
