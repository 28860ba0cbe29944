SUMMARY = "k3s on Docker, as a server or an agent"
DESCRIPTION = "Settings that make k3s use Docker and start after it and, in an agent's image, join its server \
as soon as the cluster's token is there."
HOMEPAGE = "https://docs.k3s.io/installation/configuration"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COREBASE}/meta/COPYING.MIT;md5=3da9cfbcb788c80a0384361b4de20420"

SRC_URI = " \
    file://10-agent.conf \
    file://10-docker.conf \
    file://90-k3s-agent.preset \
    file://agent.yaml \
    file://config.yaml \
    file://k3s-agent.path \
"

S = "${UNPACKDIR}"

inherit allarch systemd

SYSTEMD_SERVICE:${PN} = "${@'k3s-agent.path' if d.getVar('WR_NVIDIA_K8S_ROLE') == 'agent' else ''}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    # Readable by root alone, because this is also where k3s takes a cluster's token from.
    install -D -m 0600 ${UNPACKDIR}/config.yaml ${D}${sysconfdir}/rancher/k3s/config.yaml
    for unit in k3s k3s-agent; do
        install -D -m 0644 ${UNPACKDIR}/10-docker.conf ${D}${systemd_system_unitdir}/$unit.service.d/10-docker.conf
    done
    if [ "${WR_NVIDIA_K8S_ROLE}" = "agent" ]; then
        sed -e 's|@SERVER_URL@|${WR_NVIDIA_K8S_SERVER_URL}|' ${UNPACKDIR}/agent.yaml >> ${D}${sysconfdir}/rancher/k3s/config.yaml
        install -m 0644 ${UNPACKDIR}/10-agent.conf ${D}${systemd_system_unitdir}/k3s-agent.service.d/
        install -m 0644 ${UNPACKDIR}/k3s-agent.path ${D}${systemd_system_unitdir}/
        install -D -m 0644 -t ${D}${systemd_unitdir}/system-preset ${UNPACKDIR}/90-k3s-agent.preset
    fi
}

FILES:${PN} += "${systemd_system_unitdir} ${systemd_unitdir}/system-preset"

RDEPENDS:${PN} = "docker"
RRECOMMENDS:${PN} = "k3s-node-labels"

CONFFILES:${PN} = "${sysconfdir}/rancher/k3s/config.yaml"

# An agent that knows no server would start over and over, on a board with nobody to see it: said by the build.
# nooelint: oelint.task.noanonpython
python () {
    problem = nvidia_k8s_role_problem(d)
    if problem:
        raise bb.parse.SkipRecipe(problem)
}
