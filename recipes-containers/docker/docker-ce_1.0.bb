SUMMARY = "Docker's engine and client, whichever recipe builds them"
DESCRIPTION = "The name that Docker's own packages have. The releases build the same engine as docker-moby \
(LTS24) or docker (LTS22); both answer to docker, and this package makes them answer to docker-ce."

# What it depends on is built per tune.
PACKAGE_ARCH = "${TUNE_PKGARCH}"

inherit features_check packagegroup

# kirkstone's meta-virtualization has a recipe of this name, which this one must not hide by being there.
REQUIRED_DISTRO_FEATURES = "nvidia-k8s"

RDEPENDS:${PN} = "docker"
