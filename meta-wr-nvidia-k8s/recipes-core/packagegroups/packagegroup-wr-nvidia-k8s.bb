SUMMARY = "Kubernetes node that offers its NVIDIA GPU to pods"
DESCRIPTION = "Docker, k3s as a server or an agent, the device plugin, and what makes containers see the GPU."

# What makes containers see the GPU differs from board to board.
PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit packagegroup

# The driver, where it is not of the board's own layer.
GPU_PACKAGES[nvml] = "nvidia-driver-compute"
GPU_PACKAGES[simulated] = "simulated-jetson"
GPU_PACKAGES[tegra] = ""

RDEPENDS:${PN} = " \
    docker-ce \
    docker-daemon-config \
    k3s-${WR_NVIDIA_K8S_ROLE} \
    k3s-config \
    nvidia-container-toolkit-config \
    nvidia-device-plugin \
    ${@d.getVarFlag('GPU_PACKAGES', d.getVar('WR_NVIDIA_K8S_GPU')) or ''} \
"

python () {
    expected = {
        'WR_NVIDIA_K8S_GPU': sorted((d.getVarFlags('GPU_PACKAGES') or {})),
        'WR_NVIDIA_K8S_ROLE': ['agent', 'server'],
        'WR_NVIDIA_K8S_SECURE': ['0', '1'],
    }
    for name, values in expected.items():
        if d.getVar(name) not in values:
            raise bb.parse.SkipRecipe('%s: expected one of %s, found "%s"' % (name, ', '.join(values), d.getVar(name)))
}
