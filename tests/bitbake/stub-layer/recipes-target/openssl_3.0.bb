SUMMARY = "Debian's openssl for the target"

DEBIAN_PACKAGES = "libssl3"

inherit stub-debian
