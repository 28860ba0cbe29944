SUMMARY = "Debian's bzip2 for the target"

DEBIAN_PACKAGES = "libbz2-1.0"

inherit stub-debian
