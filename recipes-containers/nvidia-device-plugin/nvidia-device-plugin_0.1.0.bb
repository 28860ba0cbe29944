SUMMARY = "Kubernetes device plugin for NVIDIA GPUs, as a host service"
DESCRIPTION = "Offers the GPU of a Jetson, or the NVIDIA cards of a PC, to Kubernetes as nvidia.com/gpu. It is a \
Python program, frozen with PyInstaller: the board needs no Python of its own."
HOMEPAGE = "https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${WORKDIR}/LICENSE;md5=da1728e4dd34d9826fe9c1eb9ad1ae18"

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

# File by file: what else lies in plugin-src (tests, caches, virtual environments) does not change this recipe's hash.
SRC_URI = "\
    file://LICENSE \
    file://config.yaml \
    file://nvidia-device-plugin.service \
    file://plugin-src/freeze.json \
    file://plugin-src/nvidia_device_plugin/__init__.py \
    file://plugin-src/nvidia_device_plugin/__main__.py \
    file://plugin-src/nvidia_device_plugin/allocation.py \
    file://plugin-src/nvidia_device_plugin/cli.py \
    file://plugin-src/nvidia_device_plugin/config.py \
    file://plugin-src/nvidia_device_plugin/daemon.py \
    file://plugin-src/nvidia_device_plugin/device.py \
    file://plugin-src/nvidia_device_plugin/discovery.py \
    file://plugin-src/nvidia_device_plugin/endpoint.py \
    file://plugin-src/nvidia_device_plugin/errors.py \
    file://plugin-src/nvidia_device_plugin/kubelet.py \
    file://plugin-src/nvidia_device_plugin/log.py \
    file://plugin-src/nvidia_device_plugin/nvml.py \
    file://plugin-src/nvidia_device_plugin/options.py \
    file://plugin-src/nvidia_device_plugin/rpc.py \
    file://plugin-src/nvidia_device_plugin/service.py \
    file://plugin-src/nvidia_device_plugin/session.py \
    file://plugin-src/nvidia_device_plugin/systemd.py \
    file://plugin-src/nvidia_device_plugin/tegra.py \
    file://plugin-src/proto/deviceplugin_v1beta1.proto \
    file://plugin-src/pyproject.toml \
    file://plugin-src/setup.cfg \
    file://plugin-src/setup.py \
"

# plugin-src/ is of the same checkout as the layer, above it.
# nooelint: oelint.vars.fileextrapaths,oelint.vars.outofcontext
FILESEXTRAPATHS:prepend := "${WR_NVIDIA_K8S_TOPDIR}:"

S = "${WORKDIR}/plugin-src"
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
    install -D -m 0644 -t ${D}${sysconfdir}/nvidia-device-plugin ${WORKDIR}/config.yaml
    sed -i -e 's/^\( *deviceListStrategy:\) .*/\1 ${DEVICE_LIST_STRATEGY}/' \
        ${D}${sysconfdir}/nvidia-device-plugin/config.yaml
    install -D -m 0644 -t ${D}${systemd_system_unitdir} ${WORKDIR}/nvidia-device-plugin.service
}

CONFFILES:${PN} = "${sysconfdir}/nvidia-device-plugin/config.yaml"

# A mistyped value must not become an open image. Skipped, this recipe leaves the others usable, and BitBake gives the
# reason to whoever asks for it.
# nooelint: oelint.task.noanonpython
python () {
    secure = d.getVar('WR_NVIDIA_K8S_SECURE')
    if secure not in ('0', '1'):
        raise bb.parse.SkipRecipe('WR_NVIDIA_K8S_SECURE: expected "0" or "1", found "%s"' % secure)
}
