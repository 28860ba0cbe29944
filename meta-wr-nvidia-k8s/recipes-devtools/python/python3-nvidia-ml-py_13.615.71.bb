SUMMARY = "Python bindings for the NVIDIA Management Library (NVML)"
DESCRIPTION = "Functions and structures of NVML by ctypes; libnvidia-ml.so.1 itself comes with the driver."
HOMEPAGE = "https://developer.nvidia.com/management-library-nvml"
LICENSE = "BSD-3-Clause"
LIC_FILES_CHKSUM = "file://pynvml.py;beginline=2;endline=27;md5=c17f373089960744650d0a06f6fcbf34"

SRC_URI[sha256sum] = "bebe4e48f51b1dc75028c0815cb7bfa14a31a5bb80be70c9d980c6036953fc3d"

PYPI_PACKAGE = "nvidia_ml_py"

inherit pypi setuptools3

# An example would be installed as a top-level module named `example`.
do_configure:append() {
    sed -i "s/, 'example'\]/]/" ${S}/setup.py
}

RDEPENDS:${PN} += "\
    python3-ctypes \
    python3-threading \
"

BBCLASSEXTEND = "native nativesdk"
