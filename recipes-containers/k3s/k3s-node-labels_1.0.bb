SUMMARY = "Labels of the Kubernetes node that say what machine it is"
DESCRIPTION = "Finds out the board, the SoC, the L4T release and the memory before k3s starts, and hands them to \
k3s as labels of its node."
HOMEPAGE = "https://docs.k3s.io/advanced#node-labels-and-taints"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COREBASE}/meta/COPYING.MIT;md5=3da9cfbcb788c80a0384361b4de20420"

SRC_URI = " \
    file://k3s-node-labels \
    file://k3s-node-labels.service \
"

S = "${UNPACKDIR}"

inherit allarch features_check systemd

REQUIRED_DISTRO_FEATURES = "systemd"

SYSTEMD_SERVICE:${PN} = "k3s-node-labels.service"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0755 -t ${D}${libexecdir} ${UNPACKDIR}/k3s-node-labels
    install -D -m 0644 -t ${D}${systemd_system_unitdir} ${UNPACKDIR}/k3s-node-labels.service
    sed -i -e 's,@LIBEXECDIR@,${libexecdir},' ${D}${systemd_system_unitdir}/k3s-node-labels.service
    install -d ${D}${sysconfdir}/rancher/k3s/config.yaml.d
}
