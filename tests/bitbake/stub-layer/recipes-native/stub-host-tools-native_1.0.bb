SUMMARY = "Debian's programs in place of OE-core's native builds of them"

STUB_TOOLS = "\
    createrepo_c \
    file \
    gzip \
    patch \
    protoc \
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
    protobuf-native \
    quilt-native \
    rpm-native \
    unzip-native \
    xz-native \
    zstd-native \
"

# package.bbclass calls it by this name (RPMDEPS).
do_install:append() {
    install -d ${D}${libdir}/rpm
    printf '#!/bin/sh\nexec /usr/lib/rpm/rpmdeps "$@"\n' > ${D}${libdir}/rpm/rpmdeps
    chmod 0755 ${D}${libdir}/rpm/rpmdeps
}
