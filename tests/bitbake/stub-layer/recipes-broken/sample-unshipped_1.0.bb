SUMMARY = "Sample that do_package must refuse: a file that no package ships"
LICENSE = "CLOSED"

do_install() {
    install -d ${D}/opt
    echo forgotten > ${D}/opt/forgotten
}
