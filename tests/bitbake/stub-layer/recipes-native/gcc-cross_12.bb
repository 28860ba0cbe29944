SUMMARY = "Debian's compiler and binutils as the cross toolchain"
LICENSE = "CLOSED"

PN = "gcc-cross-${TARGET_ARCH}"
PROVIDES = "\
    virtual/${TARGET_PREFIX}gcc \
    virtual/${TARGET_PREFIX}g++ \
    virtual/${TARGET_PREFIX}binutils \
    binutils-cross-${TARGET_ARCH} \
    gcc-cross-${TARGET_ARCH} \
"

inherit cross

INHIBIT_DEFAULT_DEPS = "1"
DEBIAN_MULTIARCH = "x86_64-linux-gnu"
DEBIAN_MULTIARCH:aarch64 = "aarch64-linux-gnu"

# OE-core's flags are made for gcc 13: what Debian's gcc 12 does not know is left out.
do_install() {
    install -d ${D}${bindir}
    for tool in gcc g++ cpp; do
        cat > ${D}${bindir}/${TARGET_PREFIX}$tool <<EOT
#!/usr/bin/env bash
arguments=()
for argument; do
    [ "\$argument" = -fcanon-prefix-map ] || arguments+=("\$argument")
done
exec /usr/bin/${DEBIAN_MULTIARCH}-$tool "\${arguments[@]}"
EOT
    done
    for tool in addr2line ar as gcc-ar gcc-nm gcc-ranlib ld nm objcopy objdump ranlib readelf size strings strip; do
        printf '#!/bin/sh\nexec /usr/bin/${DEBIAN_MULTIARCH}-%s "$@"\n' $tool > ${D}${bindir}/${TARGET_PREFIX}$tool
    done
    ln -s ${TARGET_PREFIX}ld ${D}${bindir}/${TARGET_PREFIX}ld.bfd
    chmod 0755 ${D}${bindir}/*
    [ -x /usr/bin/${DEBIAN_MULTIARCH}-gcc ] || bbfatal "expected ${DEBIAN_MULTIARCH}-gcc: install Debian's gcc for it"
}
