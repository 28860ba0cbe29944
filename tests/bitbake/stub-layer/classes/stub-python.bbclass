# A Python library for the target from Debian's package of it, where OE-core has such libraries.
inherit stub-debs stub-target python3-dir

do_install() {
    install -d ${D}${PYTHON_SITEPACKAGES_DIR}
    cp -dR --preserve=mode ${DEBIAN_ROOT}/usr/lib/python3/dist-packages/. ${D}${PYTHON_SITEPACKAGES_DIR}/
}

FILES:${PN} += "${PYTHON_SITEPACKAGES_DIR}"
