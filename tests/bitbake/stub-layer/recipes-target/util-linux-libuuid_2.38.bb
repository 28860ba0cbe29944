SUMMARY = "Debian's util-linux-libuuid for the target"

DEBIAN_PACKAGES = "libuuid1"

inherit stub-debian
