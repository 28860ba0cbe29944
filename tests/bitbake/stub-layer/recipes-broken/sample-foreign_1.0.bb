SUMMARY = "Sample that do_package_qa must refuse: a program for another machine"
LICENSE = "CLOSED"

# Big-endian 32-bit PowerPC, which is no machine of ours: an ELF header is all that the check reads.
do_install() {
    install -d ${D}${bindir}
    printf '\177ELF\001\002\001\000\000\000\000\000\000\000\000\000\000\002\000\024\000\000\000\001' \
        > ${D}${bindir}/sample-foreign
    head -c 1000 /dev/zero >> ${D}${bindir}/sample-foreign
    chmod 0755 ${D}${bindir}/sample-foreign
}
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"
