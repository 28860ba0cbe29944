SUMMARY = "Settings of the NVIDIA container toolkit on Jetson boards"
DESCRIPTION = "Fixes the container runtime to CSV mode and to the device plugin's device list strategy."
HOMEPAGE = "https://github.com/NVIDIA/nvidia-container-toolkit"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COREBASE}/meta/COPYING.MIT;md5=3da9cfbcb788c80a0384361b4de20420"

SRC_URI = "file://10-csv-mode.conf"

S = "${WORKDIR}"

COMPATIBLE_MACHINE = "(tegra)"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0644 ${WORKDIR}/10-csv-mode.conf \
        ${D}${systemd_system_unitdir}/nvidia-container-setup.service.d/10-csv-mode.conf
    sed -i -e 's,@BINDIR@,${bindir},' ${D}${systemd_system_unitdir}/nvidia-container-setup.service.d/10-csv-mode.conf
}

# As the toolkit itself.
PACKAGE_ARCH = "${TEGRA_PKGARCH}"

FILES:${PN} += "${systemd_system_unitdir}"

RDEPENDS:${PN} = "nvidia-container-toolkit"
