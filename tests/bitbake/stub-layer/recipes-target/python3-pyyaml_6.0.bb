SUMMARY = "Debian's PyYAML for the target"

DEBIAN_PACKAGES = "python3-yaml"
DEPENDS = "libyaml python3"

inherit stub-python
