SUMMARY = "PyInstaller's hooks for third-party packages"
DESCRIPTION = "What PyInstaller has to know about packages: modules and data files that no import names."
HOMEPAGE = "https://github.com/pyinstaller/pyinstaller-hooks-contrib"
# Apache-2.0 is the licence of the run-time hooks, which become part of frozen programs.
LICENSE = "GPL-2.0-or-later & Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=fb584b0a12ff71c432633bf9dacb7878"

SRC_URI[sha256sum] = "2748767901acb5cecd1304652b6c7add5bffcff1d71d01207fe24a5d42942a56"

PYPI_PACKAGE = "pyinstaller_hooks_contrib"

inherit pypi setuptools3

RDEPENDS:${PN} += "python3-packaging"

BBCLASSEXTEND = "native nativesdk"
