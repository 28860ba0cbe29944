SUMMARY = "Debian's libdw, which OE-core's dwarfsrcfiles is built on"

inherit stub native

PROVIDES = "${PN} elfutils-native"

# The host compiler finds libdw-dev by itself.
do_install() {
    [ -e /usr/include/elfutils/libdw.h ] || bbfatal "expected elfutils/libdw.h: install Debian's libdw-dev"
}
