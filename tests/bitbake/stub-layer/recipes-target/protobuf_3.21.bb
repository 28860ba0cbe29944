SUMMARY = "Debian's libprotobuf for the target"

DEBIAN_PACKAGES = "libprotobuf32"

inherit stub-debian
