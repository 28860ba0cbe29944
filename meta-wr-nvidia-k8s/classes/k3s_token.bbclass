# Puts the token with which a k3s agent joins its cluster into an image, for boards that nobody logs in to.
#
#   inherit k3s_token     (in the image's recipe)
#
# WR_NVIDIA_K8S_TOKEN_FILE   the file on the build machine that holds it. Without it the agent waits on the device
#                            until /etc/rancher/k3s/token is there (none)
#
# It gets into the image itself, readable by root alone, and into no package: packages, their feeds and the
# shared-state cache are handed on. An image with a token is to be kept as the token is.

WR_NVIDIA_K8S_TOKEN_FILE ??= ""

k3s_token_install() {
    if [ "${WR_NVIDIA_K8S_ROLE}" != "agent" ]; then
        bbfatal "WR_NVIDIA_K8S_TOKEN_FILE: expected nothing, because WR_NVIDIA_K8S_ROLE is not agent"
    fi
    if [ ! -s "${WR_NVIDIA_K8S_TOKEN_FILE}" ]; then
        bbfatal "WR_NVIDIA_K8S_TOKEN_FILE: expected a file with the token of the cluster, found none that can be read as ${WR_NVIDIA_K8S_TOKEN_FILE}"
    fi
    install -d ${IMAGE_ROOTFS}${sysconfdir}/rancher/k3s
    install -m 0600 "${WR_NVIDIA_K8S_TOKEN_FILE}" ${IMAGE_ROOTFS}${sysconfdir}/rancher/k3s/token
}
# Where the file lies does not change what is built from it.
k3s_token_install[vardepsexclude] += "WR_NVIDIA_K8S_TOKEN_FILE"

ROOTFS_POSTPROCESS_COMMAND += "${@'k3s_token_install;' if d.getVar('WR_NVIDIA_K8S_TOKEN_FILE') else ''}"
do_rootfs[file-checksums] += "${@d.getVar('WR_NVIDIA_K8S_TOKEN_FILE') + ':True' if d.getVar('WR_NVIDIA_K8S_TOKEN_FILE') else ''}"
