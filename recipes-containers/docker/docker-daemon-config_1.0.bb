SUMMARY = "Docker's daemon.json: the NVIDIA runtime as the default, and bounded logs"
DESCRIPTION = "The kubelet reaches Docker through cri-dockerd, which does not pass a pod's RuntimeClass on: \
only Docker's default runtime decides whether a container can use the GPU. Nor can it have a container's log reopened: \
Docker rotates each before it reaches the size at which the kubelet would (containerLogMaxSize, 10Mi)."
HOMEPAGE = "https://docs.docker.com/reference/cli/dockerd/"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COREBASE}/meta/COPYING.MIT;md5=3da9cfbcb788c80a0384361b4de20420"

SRC_URI = "file://daemon.json"

S = "${UNPACKDIR}"

inherit allarch

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0644 ${UNPACKDIR}/daemon.json ${D}${sysconfdir}/docker/daemon.json
}

CONFFILES:${PN} = "${sysconfdir}/docker/daemon.json"

# meta-tegra's nvidia-docker installs a daemon.json of its own.
RCONFLICTS:${PN} = "nvidia-docker"
