SUMMARY = "NVIDIA container runtime and its tools"
DESCRIPTION = "A container runtime that gives containers the GPU before it calls runc: on a Jetson by the lists of \
files of its L4T release (CSV mode), elsewhere by a CDI specification. These two modes have no use for \
libnvidia-container and for the hook that calls it, so neither is built."
HOMEPAGE = "https://github.com/NVIDIA/nvidia-container-toolkit"

# The toolkit's own, and what is linked into its programs.
LICENSE = "Apache-2.0 & BSD-2-Clause & BSD-3-Clause & MIT"
LIC_FILES_CHKSUM = "\
    file://src/${GO_IMPORT}/LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
    file://src/${GO_IMPORT}/vendor/github.com/NVIDIA/go-nvlib/LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
    file://src/${GO_IMPORT}/vendor/github.com/NVIDIA/go-nvml/LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
    file://src/${GO_IMPORT}/vendor/github.com/cpuguy83/go-md2man/v2/LICENSE.md;md5=80794f9009df723bbc6fe19234c9f517 \
    file://src/${GO_IMPORT}/vendor/github.com/cyphar/filepath-securejoin/LICENSE;md5=7e05df0b39896d74600ef94ab46dce89 \
    file://src/${GO_IMPORT}/vendor/github.com/fsnotify/fsnotify/LICENSE;md5=8bae8b116e2cfd723492b02d9a212fe2 \
    file://src/${GO_IMPORT}/vendor/github.com/google/uuid/LICENSE;md5=88073b6dd8ec00fe09da59e0b6dfded1 \
    file://src/${GO_IMPORT}/vendor/github.com/moby/sys/reexec/LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
    file://src/${GO_IMPORT}/vendor/github.com/moby/sys/symlink/LICENSE.APACHE;md5=3d44ae130c5e355352c189dce0bbe817 \
    file://src/${GO_IMPORT}/vendor/github.com/moby/sys/symlink/LICENSE.BSD;md5=55a9a3fbe26d4cac6700847dd7cbd942 \
    file://src/${GO_IMPORT}/vendor/github.com/opencontainers/runc/LICENSE;md5=435b266b3899aa8a959f17d41c56def8 \
    file://src/${GO_IMPORT}/vendor/github.com/opencontainers/runtime-spec/LICENSE;md5=b355a61a394a504dacde901c958f662c \
    file://src/${GO_IMPORT}/vendor/github.com/opencontainers/runtime-tools/LICENSE;md5=b355a61a394a504dacde901c958f662c \
    file://src/${GO_IMPORT}/vendor/github.com/pelletier/go-toml/LICENSE;md5=e49b63d868761700c5df76e7946d0bd7 \
    file://src/${GO_IMPORT}/vendor/github.com/russross/blackfriday/v2/LICENSE.txt;md5=ecf8a8a60560c35a862a4a545f2db1b3 \
    file://src/${GO_IMPORT}/vendor/github.com/sirupsen/logrus/LICENSE;md5=8dadfef729c08ec4e631c4f6fc5d43a0 \
    file://src/${GO_IMPORT}/vendor/github.com/syndtr/gocapability/LICENSE;md5=a7304f5073e7be4ba7bffabbf9f2bbca \
    file://src/${GO_IMPORT}/vendor/github.com/urfave/cli/v2/LICENSE;md5=51992c80b05795f59c22028d39f9b74c \
    file://src/${GO_IMPORT}/vendor/github.com/xrash/smetrics/LICENSE;md5=68418a2b5d025376b21bcbd2d9289f22 \
    file://src/${GO_IMPORT}/vendor/golang.org/x/mod/LICENSE;md5=7998cb338f82d15c0eff93b7004d272a \
    file://src/${GO_IMPORT}/vendor/golang.org/x/sys/LICENSE;md5=7998cb338f82d15c0eff93b7004d272a \
    file://src/${GO_IMPORT}/vendor/gopkg.in/yaml.v2/LICENSE;md5=e3fc50a88d0a364313df4b21ef20c29e \
    file://src/${GO_IMPORT}/vendor/gopkg.in/yaml.v2/LICENSE.libyaml;md5=d0b68be4a2dc957aaf09144970bc6696 \
    file://src/${GO_IMPORT}/vendor/sigs.k8s.io/yaml/LICENSE;md5=0ceb9ff3b27d3a8cf451ca3785d73c71 \
    file://src/${GO_IMPORT}/vendor/tags.cncf.io/container-device-interface/LICENSE;md5=86d3f3a95c324c9479bd8986968f4327 \
"

SRC_URI = "\
    git://github.com/NVIDIA/nvidia-container-toolkit.git;protocol=https;branch=release-1.17;destsuffix=${BP}/src/${GO_IMPORT} \
    file://0001-Search-alternate-roots.patch;patchdir=src/${GO_IMPORT} \
    file://0002-Heed-the-device-list-strategy.patch;patchdir=src/${GO_IMPORT} \
    file://0003-Make-links-with-their-folder-held-open.patch;patchdir=src/${GO_IMPORT} \
"
SRCREV = "b3b37f91ea8f36d61df47135ea5abe6d26b4ec4f"

inherit features_check go-mod

CVE_PRODUCT = "nvidia:nvidia_container_toolkit nvidia:container_toolkit"

# virtualization as runc, which it calls. meta-tegra has a recipe of this name, with a configuration and a set-up that
# this one does without: only who asks for this layer's node gets it.
REQUIRED_DISTRO_FEATURES = "nvidia-k8s virtualization"

GO_IMPORT = "github.com/NVIDIA/nvidia-container-toolkit"
GO_INSTALL = "\
    ${GO_IMPORT}/cmd/nvidia-cdi-hook \
    ${GO_IMPORT}/cmd/nvidia-container-runtime \
    ${GO_IMPORT}/cmd/nvidia-ctk \
"
GO_EXTRA_LDFLAGS = "\
    -X ${GO_IMPORT}/internal/info.version=${PV} \
    -X ${GO_IMPORT}/internal/info.gitCommit=${SRCREV} \
"
# One program each, without the shared libraries of Go and without a path to where they would be.
GO_LINKSHARED = ""
GO_RPATH = ""
GO_RPATH_LINK = ""
# All modules are in vendor/.
# nooelint: oelint.vars.mispell.unknown - of go.bbclass
GOPROXY = "off"

# go-nvml leaves NVML's functions unresolved until libnvidia-ml.so.1 is loaded: symbols must be bound when first called.
SECURITY_LDFLAGS = ""
LDFLAGS += "-Wl,-z,lazy"

# Not go_do_install, which installs the source as well.
do_install() {
    install -d ${D}${bindir}
    for program in nvidia-cdi-hook nvidia-container-runtime nvidia-ctk; do
        install -m 0755 ${B}/${GO_BUILD_BINDIR}/$program ${D}${bindir}/$program
    done
}

# The runtime and its hook are called for every container; the tool is needed to write a CDI specification.
PACKAGES =+ "nvidia-ctk"
FILES:nvidia-ctk += "${bindir}/nvidia-ctk"

# The hook runs the machine's own in the container's root.
RDEPENDS:${PN} = "ldconfig"

# Skipped, a recipe hides no other: meta-tegra's for JetPack 4 is used, whatever the layers' priorities.
# nooelint: oelint.task.noanonpython
python () {
    if bb.utils.contains('LAYERSERIES_CORENAMES', 'kirkstone', True, False, d):
        raise bb.parse.SkipRecipe("it needs Go 1.22, and kirkstone has 1.17; on JetPack 4, meta-tegra's own is used")
}
