SUMMARY = "Container images that Docker has from the first boot"
DESCRIPTION = "The archives in WR_NVIDIA_K8S_PRELOAD_DIR, loaded into Docker before k3s starts, so that a node \
needs no registry for them. k3s itself preloads images only into its own containerd, which is not used with Docker."
HOMEPAGE = "https://docs.k3s.io/installation/airgap"
# The images are the user's, under many licences that no file in the archives declares: nothing to check or collect.
LICENSE = "CLOSED"

SRC_URI = " \
    file://container-images-preload \
    file://container-images-preload.service \
    file://image_archives.py \
"

# The module is with the layer's other Python, where it is linted and typed.
# nooelint: oelint.vars.fileextrapaths,oelint.vars.outofcontext
FILESEXTRAPATHS:prepend := "${WR_NVIDIA_K8S_TOPDIR}/meta-wr-nvidia-k8s/lib:"

S = "${UNPACKDIR}"
B = "${WORKDIR}/build"

inherit features_check goarch systemd

REQUIRED_DISTRO_FEATURES = "systemd"

INHIBIT_DEFAULT_DEPS = "1"

SYSTEMD_SERVICE:${PN} = "container-images-preload.service"

# nooelint: oelint.task.noanonpython
python () {
    directory = d.getVar('WR_NVIDIA_K8S_PRELOAD_DIR') or ''
    if not directory.startswith('/'):
        raise bb.parse.SkipRecipe('WR_NVIDIA_K8S_PRELOAD_DIR: expected a directory of container image archives, by its '
                                  'absolute path, found "%s"' % directory)
}

do_configure[noexec] = "1"

# k3s calls architectures what Docker calls them: Go's names.
python do_compile() {
    import os
    import subprocess

    directory = d.getVar('WR_NVIDIA_K8S_PRELOAD_DIR')
    command = ['python3', os.path.join(d.getVar('UNPACKDIR'), 'image_archives.py'), directory, d.getVar('B')]
    done = subprocess.run(command + ['--arch', d.getVar('TARGET_GOARCH')], capture_output=True, text=True)
    bb.note(done.stdout)
    if done.returncode:
        bb.fatal('WR_NVIDIA_K8S_PRELOAD_DIR = "%s": %s' % (directory, done.stderr.strip()))
    for line in done.stderr.splitlines():
        bb.warn('WR_NVIDIA_K8S_PRELOAD_DIR = "%s": %s' % (directory, line))
}
do_compile[cleandirs] = "${B}"
# What is in the directory decides over the hash, not where it lies; a link to it is followed.
do_compile[file-checksums] += "${@os.path.realpath(d.getVar('WR_NVIDIA_K8S_PRELOAD_DIR') or '/nonexistent')}:True"
do_compile[vardepsexclude] += "WR_NVIDIA_K8S_PRELOAD_DIR"

do_install() {
    install -d ${D}${datadir}/container-images-preload
    install -m 0644 ${B}/* ${D}${datadir}/container-images-preload/
    install -D -m 0755 -t ${D}${libexecdir} ${UNPACKDIR}/container-images-preload
    install -D -m 0644 -t ${D}${systemd_system_unitdir} ${UNPACKDIR}/container-images-preload.service
    sed -i -e 's,@DATADIR@,${datadir},' -e 's,@LIBEXECDIR@,${libexecdir},' \
        ${D}${systemd_system_unitdir}/container-images-preload.service
}

RDEPENDS:${PN} = "docker"
