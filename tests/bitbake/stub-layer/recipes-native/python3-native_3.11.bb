SUMMARY = "Debian's interpreter as the build's python3-native"

DEBIAN_PACKAGES = "\
    libpython3.11-minimal \
    libpython3.11-stdlib \
    python3.11-minimal \
"

inherit stub-debs stub-python-modules python3-dir native

RPROVIDES:${PN} += "${@' '.join('python3-%s-native' % name for name in d.getVar('STUB_PYTHON_MODULES').split())}"

do_install() {
    root=${DEBIAN_ROOT}
    stdlib=${D}${libdir}/${PYTHON_DIR}
    # The interpreter finds its library from where it stands, so a copy is a whole installation of its own.
    install -D -m 0755 $root/usr/bin/${PYTHON_DIR} ${D}${bindir}/python3-native/${PYTHON_DIR}
    ln -s ${PYTHON_DIR} ${D}${bindir}/python3-native/python3
    ln -s python3-native/python3 ${D}${bindir}/nativepython3
    install -d $stdlib/site-packages
    cp -dR --preserve=mode $root/usr/lib/${PYTHON_DIR}/. $stdlib/

    # Debian's layout (dist-packages, /usr/local) becomes upstream's, which OE-core keeps. The site module is
    # frozen into the interpreter: what it is to do differently can only be added.
    rm -f $stdlib/EXTERNALLY-MANAGED $stdlib/_distutils_system_mod.py $stdlib/sitecustomize.py
    cat > $stdlib/sitecustomize.py <<EOT
import site
import sys
site.addsitedir(f"{sys.prefix}/lib/${PYTHON_DIR}/site-packages")
EOT
    # The prefix is the build configuration's, so that _PYTHON_SYSCONFIGDATA_NAME makes installations for the
    # target, as OE-core's own python3-native does.
    sed -i -e "s/prefix_scheme = 'posix_local'/prefix_scheme = 'posix_prefix'/" \
        -e "/^            _init_posix(_CONFIG_VARS)/a \
\            for base in ('installed_base', 'base', 'installed_platbase', 'platbase'):\n\
                _CONFIG_VARS[base] = _CONFIG_VARS['prefix']" $stdlib/sysconfig.py
    sed -i "s|'\(exec_\)\?prefix': '/usr'|'\1prefix': '${prefix}'|" $stdlib/_sysconfigdata__*-linux-gnu.py
}
