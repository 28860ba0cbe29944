SUMMARY = "A Jetson's files and device nodes, for a machine that is not one"
DESCRIPTION = "What the device plugin and NVIDIA's container runtime look for on a Jetson: L4T's release file, the \
device nodes, a libcuda that knows of no GPU, and the list by which the runtime passes them to containers. With it, \
everything of a node but computing on the GPU can be tried in an emulated machine."
HOMEPAGE = "https://docs.nvidia.com/jetson/"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COREBASE}/meta/COPYING.MIT;md5=3da9cfbcb788c80a0384361b4de20420"

SRC_URI = " \
    file://devices.csv \
    file://drivers.csv.in \
    file://libcuda.c \
    file://nv_tegra_release \
    file://tmpfiles.conf \
"

S = "${UNPACKDIR}"
B = "${WORKDIR}/build"

inherit features_check

REQUIRED_DISTRO_FEATURES = "systemd"

do_configure[noexec] = "1"

do_compile() {
    ${CC} ${CFLAGS} ${LDFLAGS} -shared -fPIC -Wl,-soname,libcuda.so.1 -o libcuda.so.1.1 ${UNPACKDIR}/libcuda.c
    sed -e 's,@LIBDIR@,${libdir},' ${UNPACKDIR}/drivers.csv.in > drivers.csv
}
do_compile[cleandirs] = "${B}"

# By these names: the runtime reads no other lists than devices.csv, drivers.csv and l4t.csv.
do_install() {
    install -D -m 0644 -t ${D}${sysconfdir} ${UNPACKDIR}/nv_tegra_release
    install -D -m 0644 -t ${D}${sysconfdir}/nvidia-container-runtime/host-files-for-container.d \
        ${UNPACKDIR}/devices.csv ${B}/drivers.csv
    install -D -m 0644 ${UNPACKDIR}/tmpfiles.conf ${D}${nonarch_libdir}/tmpfiles.d/simulated-jetson.conf
    install -D -m 0755 -t ${D}${libdir} ${B}/libcuda.so.1.1
    ln -s libcuda.so.1.1 ${D}${libdir}/libcuda.so.1
}

FILES:${PN} += "${nonarch_libdir}/tmpfiles.d"

# Not libcuda1, after the one library in it.
DEBIAN_NOAUTONAME:${PN} = "1"

# Nothing is linked to it; where the real one is, that is the one to be found.
PRIVATE_LIBS = "libcuda.so.1"
RCONFLICTS:${PN} = "nvidia-driver-compute"
