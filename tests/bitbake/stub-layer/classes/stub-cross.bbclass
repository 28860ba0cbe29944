# Debian's cross tools under the names OE-core's have: STUB_TOOLS names them without their prefix.

inherit stub cross

STUB_TOOLS ?= ""
DEBIAN_MULTIARCH = "x86_64-linux-gnu"
DEBIAN_MULTIARCH:aarch64 = "aarch64-linux-gnu"

# OE-core's flags are made for gcc 13: what Debian's gcc 12 does not know is left out.
do_install() {
    install -d ${D}${bindir}
    for tool in ${STUB_TOOLS}; do
        [ -x /usr/bin/${DEBIAN_MULTIARCH}-$tool ] || bbfatal "expected ${DEBIAN_MULTIARCH}-$tool: install Debian's package for it"
        cat > ${D}${bindir}/${TARGET_PREFIX}$tool <<EOT
#!/usr/bin/env bash
arguments=()
for argument; do
    [ "\$argument" = -fcanon-prefix-map ] || arguments+=("\$argument")
done
exec /usr/bin/${DEBIAN_MULTIARCH}-$tool "\${arguments[@]}"
EOT
        chmod 0755 ${D}${bindir}/${TARGET_PREFIX}$tool
    done
}
