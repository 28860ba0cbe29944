# Puts public keys into an image, with which root logs in over SSH. No password is set.
#
#   inherit ssh_keys     (in the image's recipe)
#
# WR_NVIDIA_K8S_SSH_KEYS_FILE   the file on the build machine that holds them, as in authorized_keys (none)
#
# They get into the image itself and into no package: whose keys they are is no matter of a feed or a shared-state cache.

WR_NVIDIA_K8S_SSH_KEYS_FILE ??= ""

# sshd(8), AUTHORIZED_KEYS FILE FORMAT: options, the key's type, the key in base64, a comment.
SSH_KEY_PATTERN = "(^|[[:space:]])(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh[.]com)[[:space:]]+AAAA[0-9A-Za-z+/]+=*([[:space:]]|$)"

ssh_keys_install() {
    if ! grep -Eq '${SSH_KEY_PATTERN}' "${WR_NVIDIA_K8S_SSH_KEYS_FILE}" ||
            grep -Ev '^[[:space:]]*(#|$)' "${WR_NVIDIA_K8S_SSH_KEYS_FILE}" | grep -Evq '${SSH_KEY_PATTERN}'; then
        bbfatal "WR_NVIDIA_K8S_SSH_KEYS_FILE: expected public SSH keys, one per line as in ~/.ssh/id_ed25519.pub, found none or something else in ${WR_NVIDIA_K8S_SSH_KEYS_FILE}"
    fi
    install -d -m 0700 ${IMAGE_ROOTFS}${ROOT_HOME}/.ssh
    install -m 0600 "${WR_NVIDIA_K8S_SSH_KEYS_FILE}" ${IMAGE_ROOTFS}${ROOT_HOME}/.ssh/authorized_keys
}
# Where the file lies does not change what is built from it.
ssh_keys_install[vardepsexclude] += "WR_NVIDIA_K8S_SSH_KEYS_FILE"

ROOTFS_POSTPROCESS_COMMAND += "${@'ssh_keys_install;' if d.getVar('WR_NVIDIA_K8S_SSH_KEYS_FILE') else ''}"
do_rootfs[file-checksums] += "${@d.getVar('WR_NVIDIA_K8S_SSH_KEYS_FILE') + ':True' if d.getVar('WR_NVIDIA_K8S_SSH_KEYS_FILE') else ''}"
