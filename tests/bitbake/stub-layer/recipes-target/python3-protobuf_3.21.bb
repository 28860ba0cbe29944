SUMMARY = "Debian's protobuf for Python, built on the C++ library as OE's is, for the target"

DEBIAN_PACKAGES = "python3-protobuf"
DEPENDS = "protobuf python3"

inherit stub-python
