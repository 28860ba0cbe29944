SUMMARY = "Names that our packages need when they run, with nothing behind them"

inherit stub-target

ALLOW_EMPTY:${PN} = "1"

RPROVIDES:${PN} = "\
    binutils \
    docker \
    k3s \
    k3s-agent \
    k3s-server \
    ldd \
    nv-tegra-release \
    nvidia-container-toolkit \
    nvidia-ctk \
    tegra-configs-container-csv \
    tegra-container-passthrough \
    tegra-libraries-cuda \
    tegra-libraries-nvml \
"
