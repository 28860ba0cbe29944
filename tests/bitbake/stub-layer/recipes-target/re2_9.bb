SUMMARY = "Debian's re2 for the target"

DEBIAN_PACKAGES = "libre2-9"

inherit stub-debian
