SUMMARY = "The program that a frozen Python program starts with"
DESCRIPTION = "PyInstaller copies its bootloader and appends the frozen program. To freeze for a machine takes a \
bootloader compiled for that machine; this recipe stages it where pyinstaller.bbclass looks for it."
# zlib is compiled in: the bootloader runs before it can tell the dynamic linker where the bundled one is.
LICENSE = "${PYINSTALLER_LICENSE} & Zlib"

require pyinstaller.inc
inherit python3native

LIC_FILES_CHKSUM += "file://bootloader/zlib/zlib.h;beginline=4;endline=23;md5=1c4f5ea84120958981bbbf10869cf6da"

# waf takes the compiler and its flags from the environment. `strip` would take what packaging is to split off.
export PYI_STATIC_ZLIB = "1"
export STRIP = "true"

do_configure() {
    cd ${S}/bootloader
    # Never --target-arch: it forces -m64 upon compilers that do not know it.
    ${PYTHON} ./waf distclean configure
}

do_compile() {
    cd ${S}/bootloader
    ${PYTHON} ./waf all
}

do_install() {
    install -d ${D}${PYTHON_SITEPACKAGES_DIR}/PyInstaller/bootloader
    for directory in ${S}/PyInstaller/bootloader/Linux-*; do
        install -D -m 0755 -t ${D}${PYTHON_SITEPACKAGES_DIR}/PyInstaller/bootloader/$(basename $directory) \
            $directory/run $directory/run_d
    done
}

FILES:${PN} += "${PYTHON_SITEPACKAGES_DIR}/PyInstaller/bootloader"
