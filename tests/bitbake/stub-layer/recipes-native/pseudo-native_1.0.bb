SUMMARY = "Debian's pseudo where BitBake looks for its own (PSEUDO_SYSROOT)"

inherit stub native

PROVIDES += "virtual/fakeroot-native"

do_install() {
    [ -x /usr/bin/pseudo ] || bbfatal "expected /usr/bin/pseudo: install Debian's package pseudo"
    install -D -m 0755 -t ${D}${bindir} /usr/bin/pseudo /usr/bin/pseudodb /usr/bin/pseudolog
    install -D -m 0644 -t ${D}${prefix}/lib/pseudo/lib64 /usr/lib/*/pseudo/libpseudo.so
}
