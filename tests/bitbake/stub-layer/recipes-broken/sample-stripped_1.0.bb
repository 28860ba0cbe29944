SUMMARY = "Sample that do_package must refuse: a program without what its -dbg package is made of"
LICENSE = "CLOSED"

do_compile() {
    echo 'int main(void) { return 0; }' | ${CC} ${CFLAGS} ${LDFLAGS} -s -x c -o sample-stripped -
}
do_install() {
    install -D -m 0755 -t ${D}${bindir} sample-stripped
}
