SUMMARY = "Debian's abseil-cpp for the target"

DEBIAN_PACKAGES = "libabsl20220623"

inherit stub-debian
