SUMMARY = "Names that our packages need when they run, with nothing behind them"

inherit stub-target

ALLOW_EMPTY:${PN} = "1"

RPROVIDES:${PN} = "\
    bash \
    binutils \
    coreutils \
    docker \
    e2fsprogs-e2fsck \
    e2fsprogs-mke2fs \
    k3s \
    k3s-agent \
    k3s-server \
    ldd \
    libnvidia-container-tools \
    make \
    nv-tegra-release \
    nvidia-container-toolkit \
    nvidia-ctk \
    packagegroup-machine-base \
    tegra-configs-container-csv \
    tegra-container-passthrough \
    tegra-libraries-cuda \
    tegra-libraries-nvml \
    util-linux-blkid \
    util-linux-partx \
    util-linux-sfdisk \
"
