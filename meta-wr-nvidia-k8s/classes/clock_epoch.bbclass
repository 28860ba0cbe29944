# The time at which an image was built is the earliest that its clock can show.
#
#   inherit clock_epoch     (in the image's recipe)
#
# CLOCK_EPOCH   the time, in seconds since 1970 (now, when the image is put together). Set it for an image that is the
#               same whenever it is built
#
# systemd sets a clock that is behind the time stamp of /usr/lib/clock-epoch to it (systemd(1), systemd-timesyncd(8)),
# and to the time of systemd's own build otherwise: with shared state, or by SOURCE_DATE_EPOCH, that can be years ago,
# and all certificates that a board without a battery makes until a time server answers expire too early.

CLOCK_EPOCH ??= ""

clock_epoch_install() {
    install -d ${IMAGE_ROOTFS}${nonarch_libdir}
    touch --date="@${@d.getVar('CLOCK_EPOCH') or '$(date +%s)'}" ${IMAGE_ROOTFS}${nonarch_libdir}/clock-epoch
}

# Last: reproducible_final_image_task gives all files one time stamp.
IMAGE_PREPROCESS_COMMAND:append = " clock_epoch_install;"
