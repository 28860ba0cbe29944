# A recipe whose files are those of Debian's packages for the target. Debian's multiarch folders become OE's
# ${libdir} and ${includedir}.
inherit stub-debs stub-target

FILES:${PN} += "${libdir}"

DEBIAN_MULTIARCH = "x86_64-linux-gnu"
DEBIAN_MULTIARCH:aarch64 = "aarch64-linux-gnu"

do_install() {
    root=${DEBIAN_ROOT}
    install -d ${D}${libdir}
    for folder in $root/lib/${DEBIAN_MULTIARCH} $root/usr/lib/${DEBIAN_MULTIARCH}; do
        [ ! -d $folder ] || cp -dR --preserve=mode,links $folder/. ${D}${libdir}/
    done
    # Where Debian's two library folders point to each other, ours is one.
    find ${D}${libdir} -type l -lname '/*' | while read -r link; do
        ln -sf $(basename $(readlink $link)) $link
    done
    if [ -d $root/usr/include ]; then
        install -d ${D}${includedir}
        cp -dR --preserve=mode,links $root/usr/include/. ${D}${includedir}/
        if [ -d ${D}${includedir}/${DEBIAN_MULTIARCH} ]; then
            cp -dR --preserve=mode,links ${D}${includedir}/${DEBIAN_MULTIARCH}/. ${D}${includedir}/
            rm -r ${D}${includedir}/${DEBIAN_MULTIARCH}
        fi
    fi
}
