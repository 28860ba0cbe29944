SUMMARY = "Graphs, their traversal and algorithms on them"
DESCRIPTION = "A graph (network) package in Python. PyInstaller keeps in it which module imports which."
HOMEPAGE = "https://altgraph.readthedocs.io"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3590eb8d695bdcea3ba57e74adf8a4ed"

SRC_URI[sha256sum] = "c87b395dd12fabde9c99573a9749d67da8d29ef9de0125c7f536699b4a9bc9e7"

inherit pypi setuptools3

BBCLASSEXTEND = "native nativesdk"
