SUMMARY = "Docker's engine and client, whichever recipe builds them"
DESCRIPTION = "The name that Docker's own packages have. The releases build the same engine as docker-moby \
(LTS24) or docker (LTS22); both answer to docker, and this package makes them answer to docker-ce."

# What it depends on is built per tune.
PACKAGE_ARCH = "${TUNE_PKGARCH}"

inherit packagegroup

RDEPENDS:${PN} = "docker"
