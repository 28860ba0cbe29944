SUMMARY = "Settings of one machine, from a file on the medium that it boots from"
DESCRIPTION = "Host name, SSH keys, the cluster's token and server, and labels of the node can be written to the \
medium of one machine after flashing, without an image of its own."
HOMEPAGE = "https://docs.k3s.io/installation/configuration"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COREBASE}/meta/COPYING.MIT;md5=3da9cfbcb788c80a0384361b4de20420"

SRC_URI = " \
    file://boot-settings \
    file://boot-settings.service \
"

S = "${UNPACKDIR}"

inherit allarch features_check systemd

REQUIRED_DISTRO_FEATURES = "systemd"

SYSTEMD_SERVICE:${PN} = "boot-settings.service"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0755 -t ${D}${libexecdir} ${UNPACKDIR}/boot-settings
    sed -i -e 's,@ROLE@,${WR_NVIDIA_K8S_ROLE},' -e 's,@HOME@,${ROOT_HOME},' ${D}${libexecdir}/boot-settings
    install -D -m 0644 -t ${D}${systemd_system_unitdir} ${UNPACKDIR}/boot-settings.service
    sed -i -e 's,@LIBEXECDIR@,${libexecdir},' ${D}${systemd_system_unitdir}/boot-settings.service
}

# mktemp, tail -c and the like, which busybox has only where they are configured.
RDEPENDS:${PN} = "coreutils util-linux-blkid"
