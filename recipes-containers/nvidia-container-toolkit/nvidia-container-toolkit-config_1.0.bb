SUMMARY = "Settings of the NVIDIA container toolkit"
DESCRIPTION = "Fixes the container runtime to the one mode that is right for how the machine's GPU is reached \
(WR_NVIDIA_K8S_GPU), and to the device plugin's way to name a GPU (WR_NVIDIA_K8S_SECURE). The runtime of JetPack 4 \
has no such settings; there, this package only brings the runtime and what containers get by it."
HOMEPAGE = "https://github.com/NVIDIA/nvidia-container-toolkit"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COREBASE}/meta/COPYING.MIT;md5=3da9cfbcb788c80a0384361b4de20420"

SRC_URI = " \
    file://cdi.toml \
    file://csv.toml \
    file://nvidia-container-setup.service \
"

S = "${UNPACKDIR}"
B = "${WORKDIR}/build"

inherit features_check systemd

REQUIRED_DISTRO_FEATURES = "nvidia-k8s systemd"

# JetPack 4, by what it is built with: the container runtime 3.1.0 of meta-tegra.
TOOLKIT_OLD = "${@bb.utils.contains('LAYERSERIES_CORENAMES', 'kirkstone', '1', '', d)}"
# Of the container runtime, by WR_NVIDIA_K8S_GPU. The old one has none.
TOOLKIT_MODE[nvml] = "cdi"
TOOLKIT_MODE[simulated] = "csv"
TOOLKIT_MODE[tegra] = "csv"
TOOLKIT_MODE = "${@not d.getVar('TOOLKIT_OLD') and d.getVarFlag('TOOLKIT_MODE', d.getVar('WR_NVIDIA_K8S_GPU')) or ''}"
TOOLKIT_SECURE = "${@'true' if d.getVar('WR_NVIDIA_K8S_SECURE') == '1' else 'false'}"
TOOLKIT_INSECURE = "${@'false' if d.getVar('WR_NVIDIA_K8S_SECURE') == '1' else 'true'}"

SYSTEMD_SERVICE:${PN} = "${@'nvidia-container-setup.service' if d.getVar('TOOLKIT_MODE') == 'cdi' else ''}"

do_configure[noexec] = "1"

do_compile() {
    [ -n "${TOOLKIT_MODE}" ] || return 0
    sed -e 's,@ENVVAR@,${TOOLKIT_INSECURE},' -e 's,@VOLUME_MOUNTS@,${TOOLKIT_SECURE},' \
        -e 's,@BINDIR@,${bindir},' -e 's,@DATADIR@,${datadir},' -e 's,@SYSCONFDIR@,${sysconfdir},' \
        ${UNPACKDIR}/${TOOLKIT_MODE}.toml > ${B}/config.toml
    sed -e 's,@BINDIR@,${bindir},' -e 's,@LIBDIR@,${libdir},' \
        ${UNPACKDIR}/nvidia-container-setup.service > ${B}/nvidia-container-setup.service
}
do_compile[cleandirs] = "${B}"

do_install() {
    [ -n "${TOOLKIT_MODE}" ] || return 0
    install -D -m 0644 ${B}/config.toml ${D}${sysconfdir}/nvidia-container-runtime/config.toml
    if [ -n "${SYSTEMD_SERVICE:${PN}}" ]; then
        install -D -m 0644 -t ${D}${systemd_system_unitdir} ${B}/nvidia-container-setup.service
    fi
}

# It differs from board to board.
PACKAGE_ARCH = "${MACHINE_ARCH}"

# Empty on JetPack 4.
ALLOW_EMPTY:${PN} = "1"

RDEPENDS:${PN} = "${@'nvidia-container-runtime' if d.getVar('TOOLKIT_OLD') else 'nvidia-container-toolkit'}"
RDEPENDS:${PN} += "${@'nvidia-ctk' if d.getVar('TOOLKIT_MODE') == 'cdi' else ''}"
# What a container cannot do without, of what the board's lists of files name. The rest is in the image, and then also
# in containers, where something else asks for it. The old runtime has its list in its own package.
RDEPENDS:${PN}:append:tegra = " \
    nv-tegra-release \
    ${@'' if d.getVar('TOOLKIT_OLD') else 'tegra-configs-container-csv'} \
    tegra-container-passthrough \
    tegra-libraries-cuda \
"
# JetPack 6 has it (and CUDA 12); a recommendation must have a provider as well.
RDEPENDS:${PN}:append:tegra = " ${@'tegra-libraries-nvml' if (d.getVar('CUDA_VERSION') or '').startswith('12.') else ''}"

CONFFILES:${PN} = "${sysconfdir}/nvidia-container-runtime/config.toml"

# nooelint: oelint.task.noanonpython
python () {
    if not d.getVar('TOOLKIT_OLD'):
        return
    if d.getVar('WR_NVIDIA_K8S_GPU') != 'tegra':
        raise bb.parse.SkipRecipe('WR_NVIDIA_K8S_GPU: expected tegra, found "%s": kirkstone has a container runtime '
                                  'for JetPack 4 only' % d.getVar('WR_NVIDIA_K8S_GPU'))
    if d.getVar('WR_NVIDIA_K8S_SECURE') == '1':
        raise bb.parse.SkipRecipe('WR_NVIDIA_K8S_SECURE: expected 0, found 1: the container runtime of JetPack 4 '
                                  '(3.1.0) gives the GPU to any container that sets NVIDIA_VISIBLE_DEVICES')
}
