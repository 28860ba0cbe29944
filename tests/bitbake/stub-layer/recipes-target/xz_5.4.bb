SUMMARY = "Debian's xz for the target"

DEBIAN_PACKAGES = "liblzma5"

inherit stub-debian
