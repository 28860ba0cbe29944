SUMMARY = "Image that was built elsewhere: its manifest and its testdata.json are in DEPLOY_DIR_IMAGE"
LICENSE = "MIT"

INHIBIT_DEFAULT_DEPS = "1"

inherit image-artifact-names
# As it would come with IMAGE_CLASSES.
inherit ${@'testimage' if 'testimage' in (d.getVar('IMAGE_CLASSES') or '').split() else ''}

IMAGE_FSTYPES = "ext4"
IMAGE_PKGTYPE = "rpm"
# For testing packages, which no case of ours does.
TESTIMAGEDEPENDS:forcevariable = ""

# Nothing is built, so that no tool is needed.
inherit nopackages
deltask do_fetch
deltask do_unpack
deltask do_patch
deltask do_configure
deltask do_compile
deltask do_install
deltask do_populate_lic
deltask do_populate_sysroot
deltask do_prepare_recipe_sysroot
deltask do_devshell
