SUMMARY = "Kubernetes node that offers its NVIDIA GPU to pods"
DESCRIPTION = "Docker, k3s as a server or an agent, the device plugin, and what makes containers see the GPU."

# What makes containers see the GPU differs from board to board.
PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit features_check packagegroup

# With it go the recipes of this layer that take the place of another layer's.
REQUIRED_DISTRO_FEATURES = "nvidia-k8s"

# The driver, where it is not of the board's own layer.
WR_NVIDIA_K8S_DRIVER[nvml] = "nvidia-driver-compute"
WR_NVIDIA_K8S_DRIVER[simulated] = "simulated-jetson"
WR_NVIDIA_K8S_DRIVER[tegra] = ""

RDEPENDS:${PN} = " \
    boot-settings \
    docker-ce \
    docker-daemon-config \
    grow-root \
    journal-config \
    k3s-config \
    k3s-time-sync \
    nvidia-container-toolkit-config \
    nvidia-device-plugin \
    packagegroup-machine-base \
"
# nooelint: oelint.vars.dependsordered - what they are is chosen
RDEPENDS:${PN} += "\
    k3s-${WR_NVIDIA_K8S_ROLE} \
    ${@d.getVarFlag('WR_NVIDIA_K8S_DRIVER', d.getVar('WR_NVIDIA_K8S_GPU')) or ''} \
    ${@'container-images-preload' if d.getVar('WR_NVIDIA_K8S_PRELOAD_DIR') else ''} \
    ${@'data-disk' if d.getVar('WR_NVIDIA_K8S_DATA_DISK') else ''} \
"

# Said where it is asked for, not in the middle of a build.
# nooelint: oelint.task.noanonpython
python () {
    expected = {
        'WR_NVIDIA_K8S_GPU': sorted((d.getVarFlags('WR_NVIDIA_K8S_DRIVER') or {})),
        'WR_NVIDIA_K8S_ROLE': ['agent', 'server'],
        'WR_NVIDIA_K8S_SECURE': ['0', '1'],
    }
    for name, values in expected.items():
        if d.getVar(name) not in values:
            raise bb.parse.SkipRecipe('%s: expected one of %s, found "%s"' % (name, ', '.join(values), d.getVar(name)))
}
