SUMMARY = "Debian's Python for the target, laid out as OE-core's"

DEBIAN_PACKAGES = "\
    libpython3.11 \
    libpython3.11-minimal \
    libpython3.11-stdlib \
    python3.11-minimal \
"
DEPENDS = "bzip2 expat libffi openssl sqlite3 util-linux-libuuid xz zlib"

inherit stub-debian stub-python-modules python3-dir

do_install:append() {
    root=${DEBIAN_ROOT}
    stdlib=${D}${libdir}/${PYTHON_DIR}
    install -D -m 0755 -t ${D}${bindir} $root/usr/bin/${PYTHON_DIR}
    ln -s ${PYTHON_DIR} ${D}${bindir}/python3
    install -d $stdlib/site-packages
    cp -dR --preserve=mode $root/usr/lib/${PYTHON_DIR}/. $stdlib/
    rm -f $stdlib/sitecustomize.py $stdlib/EXTERNALLY-MANAGED $stdlib/_distutils_system_mod.py
    rm -rf $stdlib/config-* $stdlib/lib2to3 $stdlib/pydoc_data

    # As OE-core's recipe does it: the build configuration names the staging folders, and is found by its
    # plain name too.
    sysconfigdata=$(find $stdlib -type f -name '_sysconfigdata__*.py')
    sed -i -e "s|'LIBDIR': .*|'LIBDIR': '${STAGING_LIBDIR}',|" \
        -e "s|'\(INCLUDEPY\|CONFINCLUDEPY\)': .*|'\1': '${STAGING_INCDIR}/${PYTHON_DIR}',|" $sysconfigdata
    install -D -m 0644 $sysconfigdata ${D}${libdir}/python-sysconfigdata/_sysconfigdata.py
}

# One package stands for all those that OE-core's list of modules makes.
PACKAGES = "${PN}-core"
FILES:${PN}-core = "${bindir} ${libdir}"
RPROVIDES:${PN}-core = "python3 python3-modules ${@' '.join('python3-' + name for name in d.getVar('STUB_PYTHON_MODULES').split())}"
