SUMMARY = "NVIDIA's open GPU kernel modules, for computing"
DESCRIPTION = "The modules nvidia and nvidia-uvm, which drive cards of the Turing family and newer together with \
the libraries and the firmware of nvidia-driver-compute."
HOMEPAGE = "https://github.com/NVIDIA/open-gpu-kernel-modules"
LICENSE = "MIT | GPL-2.0-only"
LIC_FILES_CHKSUM = "file://COPYING;md5=1d5fa2a493e937d5a4b96e5e03b90f7c"

require nvidia-driver.inc

# A release is a tag, and not every one of them is on the branch main.
SRC_URI = "\
    git://github.com/NVIDIA/open-gpu-kernel-modules.git;protocol=https;nobranch=1;destsuffix=${BP} \
    file://nvidia.conf \
"
SRCREV = "${NVIDIA_DRIVER_SRCREV}"

inherit module

MODULES_MODULE_SYMVERS_LOCATION = "kernel-open"

# ARCH is the machine's name here (uname -m), not the kernel's (x86). Nothing is displayed: without the modules for
# that, and without the one for InfiniBand cards.
EXTRA_OEMAKE += "\
    ARCH=x86_64 \
    TARGET_ARCH=x86_64 \
    SYSSRC=${STAGING_KERNEL_DIR} \
    SYSOUT=${STAGING_KERNEL_BUILDDIR} \
    NV_EXCLUDE_KERNEL_MODULES='nvidia-drm nvidia-modeset nvidia-peermem' \
"

# The makefiles take CC for one word when they ask for the compiler's version. With options in it they learn none,
# leave out the landing pads of indirect branch tracking, and a kernel with CONFIG_X86_KERNEL_IBT stops when it
# loads the module.
KERNEL_CC:task-compile = "${WORKDIR}/kernel-cc"

do_compile:prepend() {
    printf '#!/bin/sh\nexec %s "$@"\n' "${HOST_PREFIX}gcc ${HOST_CC_KERNEL_ARCH} ${DEBUG_PREFIX_MAP}" > ${KERNEL_CC}
    chmod 0755 ${KERNEL_CC}
}

do_install:append() {
    install -D -m 0644 ${UNPACKDIR}/nvidia.conf ${D}${nonarch_base_libdir}/modprobe.d/nvidia.conf
}

FILES:${PN} += "${nonarch_base_libdir}/modprobe.d"
