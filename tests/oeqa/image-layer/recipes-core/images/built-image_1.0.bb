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
