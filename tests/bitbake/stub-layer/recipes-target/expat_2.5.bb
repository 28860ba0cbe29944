SUMMARY = "Debian's expat for the target"

DEBIAN_PACKAGES = "libexpat1"

inherit stub-debian
