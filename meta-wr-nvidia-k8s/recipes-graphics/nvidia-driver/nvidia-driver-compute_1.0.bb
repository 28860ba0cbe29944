SUMMARY = "NVIDIA's driver libraries, tools and GPU firmware, for computing"
DESCRIPTION = "What CUDA programs, containers and NVML need of NVIDIA's driver: libcuda and its compilers, \
libnvidia-ml, nvidia-smi, nvidia-modprobe, nvidia-persistenced and the firmware of the GPU's own processor. \
Nothing to draw or to play video with."
HOMEPAGE = "https://www.nvidia.com/en-us/drivers/unix/"
LICENSE = "NVIDIA-Driver"
LIC_FILES_CHKSUM = "file://LICENSE;md5=${NVIDIA_DRIVER_LICENSE_MD5}"
NO_GENERIC_LICENSE[NVIDIA-Driver] = "LICENSE"
# Read it (LICENSE in the archive), then LICENSE_FLAGS_ACCEPTED += "nvidia-driver". A name of its own: who has
# accepted "commercial" for the sake of a codec has not accepted this.
LICENSE_FLAGS = "nvidia-driver"

require nvidia-driver.inc

NVIDIA_ARCHIVE = "NVIDIA-Linux-x86_64-${PV}"

SRC_URI = "\
    https://download.nvidia.com/XFree86/Linux-x86_64/${PV}/${NVIDIA_ARCHIVE}.run;name=run;unpack=0 \
    file://70-nvidia.rules \
    file://nvidia-persistenced.service \
"
SRC_URI[run.sha256sum] = "${NVIDIA_DRIVER_SHA256}"

S = "${UNPACKDIR}/${NVIDIA_ARCHIVE}"

# Binaries for glibc.
COMPATIBLE_HOST:libc-musl = "null"

inherit features_check

REQUIRED_DISTRO_FEATURES = "systemd"

# The archive is a shell script with a compressed tar behind it, from the line that skip= in the script says.
# Read, it need not be run: it would bring its own decompressor, which runs on x86-64 only.
extract_driver() {
    skip=$(head -n 200 ${UNPACKDIR}/${NVIDIA_ARCHIVE}.run | sed -n 's/^skip=\([0-9][0-9]*\)$/\1/p')
    if [ -z "$skip" ]; then
        bbfatal "${NVIDIA_ARCHIVE}.run: expected a line skip=NUMBER among the first 200, found none: NVIDIA has changed the form of its archives"
    fi
    mkdir -p ${S}
    tail -n +$skip ${UNPACKDIR}/${NVIDIA_ARCHIVE}.run | zstd -dc | tar -x -C ${S} --no-same-owner
}
do_unpack[postfuncs] += "extract_driver"
do_unpack[cleandirs] += "${S}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

# gpucomp and the nvvm libraries are not linked to: libcuda opens them to compile a program's PTX.
NVIDIA_LIBRARIES = "\
    libcuda.so.${PV} \
    libnvidia-cfg.so.${PV} \
    libnvidia-gpucomp.so.${PV} \
    libnvidia-ml.so.${PV} \
    libnvidia-nvvm.so.${PV} \
    libnvidia-nvvm70.so.4 \
    libnvidia-ptxjitcompiler.so.${PV} \
"

do_install() {
    install -d ${D}${libdir} ${D}${bindir} ${D}${nonarch_base_libdir}/firmware/nvidia/${PV}
    for library in ${NVIDIA_LIBRARIES}; do
        install -m 0755 ${S}/$library ${D}${libdir}
        soname=$(${READELF} -d ${S}/$library | sed -n 's/.*(SONAME).*\[\(.*\)\]$/\1/p')
        if [ -n "$soname" ] && [ "$soname" != "$library" ]; then
            ln -s $library ${D}${libdir}/$soname
        fi
    done
    for name in libcuda libnvidia-ml; do
        ln -s $name.so.1 ${D}${libdir}/$name.so
    done

    # nvidia-modprobe without the setuid bit: nvidia-persistenced.service makes the device nodes.
    for tool in nvidia-modprobe nvidia-persistenced nvidia-smi; do
        install -m 0755 ${S}/$tool ${D}${bindir}
    done

    install -m 0644 ${S}/firmware/gsp_*.bin ${D}${nonarch_base_libdir}/firmware/nvidia/${PV}

    install -D -m 0644 ${UNPACKDIR}/70-nvidia.rules ${D}${nonarch_base_libdir}/udev/rules.d/70-nvidia.rules
    install -D -m 0644 ${UNPACKDIR}/nvidia-persistenced.service \
        ${D}${systemd_system_unitdir}/nvidia-persistenced.service
    sed -i -e 's,@BINDIR@,${bindir},' ${D}${systemd_system_unitdir}/nvidia-persistenced.service
}

# As NVIDIA built them.
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_SYSROOT_STRIP = "1"

PACKAGES =+ "${PN}-firmware"

FILES:${PN}-firmware += "${nonarch_base_libdir}/firmware"
FILES:${PN} += "${nonarch_base_libdir}/udev ${systemd_system_unitdir}"

# The modules by their recipe's package: every kernel also offers to be where kernel-module-* comes from.
# libtirpc for its /etc/netconfig, without which nvidia-persistenced may not open its socket.
RDEPENDS:${PN} = "\
    ${PN}-firmware \
    libtirpc \
    nvidia-open-kernel-modules \
"

# nooelint: oelint.vars.insaneskip - NVIDIA's linker and strip, not ours
INSANE_SKIP:${PN} = "already-stripped ldflags"
# nooelint: oelint.vars.insaneskip - ELF files for the GPU's own RISC-V processor
INSANE_SKIP:${PN}-firmware = "arch"
