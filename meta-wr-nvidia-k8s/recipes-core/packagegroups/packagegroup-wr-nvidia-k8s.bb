SUMMARY = "Kubernetes node that offers its NVIDIA GPU to pods"
DESCRIPTION = "Docker, k3s as a server, the device plugin, and what makes containers see the GPU of the board."

# What makes containers see the GPU differs from board to board.
PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit packagegroup

RDEPENDS:${PN} = " \
    docker-ce \
    k3s-config \
    k3s-server \
    nvidia-device-plugin \
"

RDEPENDS:${PN}:append:tegra = " \
    docker-daemon-config \
    nvidia-container-toolkit-config \
"
