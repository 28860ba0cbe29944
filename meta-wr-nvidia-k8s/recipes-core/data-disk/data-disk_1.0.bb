SUMMARY = "State of Docker and Kubernetes on a disk of its own"
DESCRIPTION = "The state of Docker, containerd, k3s and the kubelet is on the disk or partition \
WR_NVIDIA_K8S_DATA_DISK, which they and the device plugin wait for. An empty disk gets a file system. Without the disk, \
none of them starts."
HOMEPAGE = "https://www.freedesktop.org/software/systemd/man/latest/systemd.mount.html"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COREBASE}/meta/COPYING.MIT;md5=3da9cfbcb788c80a0384361b4de20420"

SRC_URI = " \
    file://data-disk \
    file://data-disk.conf \
    file://data-disk.service \
    file://data.mount \
    file://data_disk.py \
    file://state.mount \
"

# The module is with the layer's other Python, where it is linted and typed.
# nooelint: oelint.vars.fileextrapaths,oelint.vars.outofcontext
FILESEXTRAPATHS:prepend := "${WR_NVIDIA_K8S_TOPDIR}/meta-wr-nvidia-k8s/lib:"

S = "${UNPACKDIR}"
B = "${WORKDIR}/build"

inherit allarch features_check

REQUIRED_DISTRO_FEATURES = "systemd"

do_configure[noexec] = "1"

do_compile() {
    python3 ${UNPACKDIR}/data_disk.py ${UNPACKDIR} ${B} '${WR_NVIDIA_K8S_DATA_DISK}' --libexecdir ${libexecdir}
}
do_compile[cleandirs] = "${B}"

do_install() {
    install -D -m 0755 -t ${D}${libexecdir} ${UNPACKDIR}/data-disk
    install -d ${D}${systemd_system_unitdir}
    cp -R --no-dereference --preserve=mode,links ${B}/. ${D}${systemd_system_unitdir}
}

FILES:${PN} += "${systemd_system_unitdir}"

RDEPENDS:${PN} = "e2fsprogs-e2fsck e2fsprogs-mke2fs util-linux-blkid"

# nooelint: oelint.task.noanonpython
python () {
    problem = nvidia_k8s_data_disk_problem(d)
    if problem or not d.getVar('WR_NVIDIA_K8S_DATA_DISK'):
        raise bb.parse.SkipRecipe(problem or 'WR_NVIDIA_K8S_DATA_DISK: expected a disk or partition, found nothing')
}
