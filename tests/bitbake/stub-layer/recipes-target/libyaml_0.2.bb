SUMMARY = "Debian's libyaml for the target"

DEBIAN_PACKAGES = "libyaml-0-2"

inherit stub-debian
