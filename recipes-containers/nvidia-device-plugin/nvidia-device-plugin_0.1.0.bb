SUMMARY = "Kubernetes device plugin for NVIDIA GPUs, as a host service"
DESCRIPTION = "Offers the GPU of a Jetson, or the NVIDIA cards of a PC, to Kubernetes as nvidia.com/gpu. It is a \
Python program, frozen with PyInstaller: the board needs no Python of its own."
HOMEPAGE = "https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${UNPACKDIR}/LICENSE;md5=da1728e4dd34d9826fe9c1eb9ad1ae18"

DEPENDS = "\
    protobuf-native \
    python3-asyncinotify \
    python3-grpcio \
    python3-nvidia-ml-py \
    python3-protobuf \
    python3-pyyaml \
    python3-sdnotify \
    python3-setuptools-native \
"

SRC_URI = "\
    file://60-nvidia-device-plugin.conf \
    file://LICENSE \
    file://config.yaml \
    file://nvidia-device-plugin.service \
    file://plugin-src/freeze.json \
    file://plugin-src/pyproject.toml \
    file://plugin-src/setup.cfg \
    file://plugin-src/setup.py \
    ${@plugin_sources(d)} \
"

def plugin_sources(d):
    """The program's modules and its API, file by file: no cache, generated code or virtual environment that lies among
    them changes a hash."""
    import os

    top = d.getVar('WR_NVIDIA_K8S_TOPDIR')
    found = []
    for root, suffix in (('nvidia_device_plugin', '.py'), ('proto', '.proto')):
        for folder, folders, files in os.walk(os.path.join(top, 'plugin-src', root)):
            folders[:] = [name for name in folders if name.isidentifier() and name != '__pycache__']
            # A new file makes the folder newer, and so has BitBake parse this recipe again.
            bb.parse.mark_dependency(d, folder)
            names = [name for name in files if name.endswith(suffix) and not name.endswith('_pb2.py')]
            found += [os.path.relpath(os.path.join(folder, name), top) for name in names]
    return ' '.join('file://' + path for path in sorted(found))

# plugin-src/ is of the same checkout as the layer, above it.
# nooelint: oelint.vars.fileextrapaths,oelint.vars.outofcontext
FILESEXTRAPATHS:prepend := "${WR_NVIDIA_K8S_TOPDIR}:"

S = "${UNPACKDIR}/plugin-src"
B = "${WORKDIR}/build"

inherit features_check pyinstaller systemd

REQUIRED_DISTRO_FEATURES = "systemd"

PYINSTALLER_SETTINGS = "${S}/freeze.json"
PYINSTALLER_PYTHONPATH = "${B}/python"

SYSTEMD_SERVICE:${PN} = "nvidia-device-plugin.service"

# The plugin's half of the secure mode; the other one is that the container toolkit heeds mounts, not variables.
DEVICE_LIST_STRATEGY = "${@bb.utils.contains('WR_NVIDIA_K8S_SECURE', '1', 'volume-mounts', 'envvar', d)}"

do_configure[noexec] = "1"

# Not setuptools3: what it builds is installed to be imported, this only to be frozen.
do_compile() {
    cd ${S}
    PROTOC=${STAGING_BINDIR_NATIVE}/protoc ${PYTHON} setup.py build_py --build-lib ${B}/python
}
do_compile[cleandirs] = "${B}"

do_install:append() {
    install -D -m 0644 -t ${D}${sysconfdir}/nvidia-device-plugin ${UNPACKDIR}/config.yaml
    sed -i -e 's/^\( *deviceListStrategy:\) .*/\1 ${DEVICE_LIST_STRATEGY}/' \
        ${D}${sysconfdir}/nvidia-device-plugin/config.yaml
    install -D -m 0644 -t ${D}${systemd_system_unitdir} ${UNPACKDIR}/nvidia-device-plugin.service
    install -D -m 0644 -t ${D}${nonarch_libdir}/sysctl.d ${UNPACKDIR}/60-nvidia-device-plugin.conf
}

FILES:${PN} += "${nonarch_libdir}/sysctl.d"
CONFFILES:${PN} = "${sysconfdir}/nvidia-device-plugin/config.yaml"

# A mistyped value must not become an open image. Skipped, this recipe leaves the others usable, and BitBake gives the
# reason to whoever asks for it.
# nooelint: oelint.task.noanonpython
python () {
    secure = d.getVar('WR_NVIDIA_K8S_SECURE')
    if secure not in ('0', '1'):
        raise bb.parse.SkipRecipe('WR_NVIDIA_K8S_SECURE: expected "0" or "1", found "%s"' % secure)
}
