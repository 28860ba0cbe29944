SUMMARY = "Debian's c-ares for the target"

DEBIAN_PACKAGES = "libc-ares2"

inherit stub-debian
