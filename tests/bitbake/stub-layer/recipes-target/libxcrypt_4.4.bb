SUMMARY = "Debian's libcrypt for the target"

DEBIAN_PACKAGES = "libcrypt1 libcrypt-dev"

inherit stub-debian

PROVIDES += "virtual/crypt"
