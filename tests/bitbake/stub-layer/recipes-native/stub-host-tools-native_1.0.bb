SUMMARY = "Debian's programs in place of OE-core's native builds of them"

STUB_TOOLS = "\
    createrepo_c \
    file \
    gzip \
    patch \
    quilt \
    rpm \
    rpmbuild \
    rpmsign \
    unzip \
    xz \
    zstd \
"

inherit stub-host-tools

PROVIDES = "\
    ${PN} \
    createrepo-c-native \
    file-replacement-native \
    gzip-native \
    patch-replacement-native \
    pigz-native \
    quilt-native \
    rpm-native \
    unzip-native \
    xz-native \
    zstd-native \
"
