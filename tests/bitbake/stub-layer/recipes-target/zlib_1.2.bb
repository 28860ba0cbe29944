SUMMARY = "Debian's zlib for the target"

DEBIAN_PACKAGES = "zlib1g zlib1g-dev"

inherit stub-debian
