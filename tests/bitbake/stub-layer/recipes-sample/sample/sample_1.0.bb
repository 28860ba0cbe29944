SUMMARY = "Smallest recipe that goes the ways ours go: a service, a PEP 517 build, compiled code, a conffile"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "\
    file://pyproject.toml;subdir=sources \
    file://sample.py;subdir=sources \
    file://sample.c;subdir=sources \
    file://sample.conf;subdir=sources \
    file://sample.service;subdir=sources \
    file://greeting.patch \
"
S = "${WORKDIR}/sources"

inherit python_setuptools_build_meta systemd

SYSTEMD_SERVICE:${PN} = "sample.service"
CONFFILES:${PN} = "${sysconfdir}/sample.conf"

do_unpack[cleandirs] = "${S}"
do_compile:append() {
    ${CC} ${CFLAGS} ${LDFLAGS} -o ${B}/sample ${S}/sample.c
}
do_install:append() {
    install -D -m 0755 -t ${D}${libexecdir} ${B}/sample
    install -D -m 0644 -t ${D}${sysconfdir} ${S}/sample.conf
    install -D -m 0644 -t ${D}${systemd_system_unitdir} ${S}/sample.service
}
