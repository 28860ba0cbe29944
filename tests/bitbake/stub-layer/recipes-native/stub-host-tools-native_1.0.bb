SUMMARY = "Debian's programs in place of OE-core's native builds of them"

PROVIDES = "${PN} patch-replacement-native protobuf-native quilt-native rpm-native unzip-native"
STUB_TOOLS = "patch protoc quilt rpm rpmbuild unzip"

inherit stub-host-tools

# package.bbclass calls it by this name (RPMDEPS).
do_install:append() {
    install -d ${D}${libdir}/rpm
    printf '#!/bin/sh\nexec /usr/lib/rpm/rpmdeps "$@"\n' > ${D}${libdir}/rpm/rpmdeps
    chmod 0755 ${D}${libdir}/rpm/rpmdeps
}
