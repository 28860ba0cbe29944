# Offers programs of the host as a native recipe: STUB_TOOLS names them, each found in /usr/bin or /usr/sbin.
inherit stub native

STUB_TOOLS ?= ""

do_install() {
    install -d ${D}${bindir}
    for tool in ${STUB_TOOLS}; do
        found=
        for candidate in /usr/bin/$tool /usr/sbin/$tool; do
            [ -x "$candidate" ] && found=$candidate && break
        done
        [ -n "$found" ] || bbfatal "expected the program '$tool' in /usr/bin: install its Debian package"
        printf '#!/bin/sh\nexec %s "$@"\n' "$found" > ${D}${bindir}/$tool
        chmod 0755 ${D}${bindir}/$tool
    done
}
