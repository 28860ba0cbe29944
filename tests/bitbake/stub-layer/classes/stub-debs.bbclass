# Unpacks Debian's packages (DEBIAN_PACKAGES) for the machine into DEBIAN_ROOT. The harness has put the .deb
# files in STUB_DEBS/ARCHITECTURE.
inherit stub

DEBIAN_PACKAGES ?= ""
DEBIAN_ROOT = "${WORKDIR}/debian"
DEBIAN_ARCH = "amd64"
DEBIAN_ARCH:aarch64:class-target = "arm64"

def stub_debian_files(d):
    import glob

    folder = d.expand('${STUB_DEBS}/${DEBIAN_ARCH}/')
    return [file for name in d.getVar('DEBIAN_PACKAGES').split() for file in glob.glob(folder + name + '_*.deb')]

python do_unpack() {
    import subprocess

    files = stub_debian_files(d)
    if len(files) != len(d.getVar('DEBIAN_PACKAGES').split()):
        bb.fatal('expected each of %s as a file in STUB_DEBS, found %s' % (d.getVar('DEBIAN_PACKAGES'), files))
    for file in files:
        subprocess.run(['dpkg-deb', '--extract', file, d.getVar('DEBIAN_ROOT')], check=True)
}
do_unpack[cleandirs] = "${DEBIAN_ROOT}"
# Another version of a package makes another result.
do_unpack[file-checksums] += "${@' '.join(file + ':True' for file in stub_debian_files(d))}"
