SUMMARY = "Kubernetes node that offers its NVIDIA GPU to pods, on Wind River Linux"
DESCRIPTION = "Boots into a k3s server on Docker that advertises nvidia.com/gpu. It has no password to log in \
with: WR_NVIDIA_K8S_SSH_KEYS_FILE names your public keys, and kas/include/debug-tweaks.yml is for development."
LICENSE = "MIT"

# The smallest base with systemd, glibc and Wind River's network set-up. What wrlinux-image-std adds (mail,
# databases, Perl, Python) a node does not use; wrlinux-image-core leaves out recommended packages, and with
# them the kernel modules that Docker and k3s recommend.
# nooelint: oelint.file.requirenotfound - it is in the wrlinux-distro layer
require recipes-base/images/wrlinux-image-small.bb

inherit clock_epoch k3s_token ssh_keys

# nooelint: oelint.vars.outofcontext - an image by what it requires
IMAGE_FEATURES += "ssh-server-openssh"

IMAGE_INSTALL += "\
    git \
    packagegroup-wr-nvidia-k8s \
"

# KiB of room for logs and container images where the file system cannot grow, on top of what local.conf says. On a Jetson
# the file system is as large as its partition in either case.
IMAGE_ROOTFS_EXTRA_SPACE:append = " + 1048576"

# The BSP of PCs also asks for a live system, which cannot be had of a root file system of 4 GB or more (FAT).
IMAGE_FSTYPES:remove = "live"

# For scripts/flash, or sha256sum --check, wherever the image is copied to.
write_checksums() {
    cd ${IMGDEPLOYDIR}
    for image in ${IMAGE_NAME}*.tegraflash.tar.gz ${IMAGE_NAME}*.tegraflash.zip ${IMAGE_NAME}*.wic ${IMAGE_NAME}*.wic.gz; do
        if [ -f "$image" ]; then
            sha256sum "$image" > "$image.sha256"
        fi
    done
}
IMAGE_POSTPROCESS_COMMAND += "write_checksums;"
