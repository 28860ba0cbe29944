SUMMARY = "Debian's libffi for the target"

DEBIAN_PACKAGES = "libffi8"

inherit stub-debian
