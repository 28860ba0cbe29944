SUMMARY = "Bundles a Python program and all it depends on into one directory or file"
DESCRIPTION = "PyInstaller analyses a Python program, collects its modules, its extension modules and the shared \
libraries they need, and puts them beside an executable that runs them without an installed Python."
LICENSE = "${PYINSTALLER_LICENSE} & Apache-2.0"

require pyinstaller.inc
inherit setuptools3

# Upstream builds with hatchling, which kirkstone does not have, and names classifiers that scarthgap's does not know.
SRC_URI += "file://setup.py;subdir=pyinstaller-${PV}"

do_configure:append() {
    rm -f ${S}/pyproject.toml
}

RDEPENDS:${PN} += "\
    python3-altgraph \
    python3-packaging \
    python3-pyinstaller-hooks-contrib \
"
# The bootloader is where PyInstaller looks for one of its own machine, so that it freezes on the target too.
RDEPENDS:${PN}:append:class-target = " binutils ldd pyinstaller-bootloader python3-modules"

BBCLASSEXTEND = "native"
