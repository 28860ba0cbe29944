SUMMARY = "k3s on Docker"
DESCRIPTION = "Settings that make k3s, as a server or an agent, use Docker and start after it."
HOMEPAGE = "https://docs.k3s.io/installation/configuration"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COREBASE}/meta/COPYING.MIT;md5=3da9cfbcb788c80a0384361b4de20420"

SRC_URI = " \
    file://10-docker.conf \
    file://config.yaml \
"

S = "${WORKDIR}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    # Readable by root alone, because this is also where k3s takes a cluster's token from.
    install -D -m 0600 ${WORKDIR}/config.yaml ${D}${sysconfdir}/rancher/k3s/config.yaml
    for unit in k3s k3s-agent; do
        install -D -m 0644 ${WORKDIR}/10-docker.conf ${D}${systemd_system_unitdir}/$unit.service.d/10-docker.conf
    done
}

FILES:${PN} += "${systemd_system_unitdir}"

RDEPENDS:${PN} = "docker"

CONFFILES:${PN} = "${sysconfdir}/rancher/k3s/config.yaml"
