#!/bin/sh
# SPDX-License-Identifier: MIT
# Run a program of another architecture as if it were the only one on its machine: in a root of its own, under
# qemu-user by binfmt_misc, in namespaces of its own. No root is needed, and nothing outside changes.
#   room.sh ROOT SHARED BINFMT-CONFIGURATION PROGRAM ARGUMENT...
# SHARED is seen inside under its own name.
set -eu
if [ "${ROOM_INSIDE-}" != 1 ]; then
    ROOM_INSIDE=1 exec unshare --user --map-root-user --mount --pid --fork --kill-child "$0" "$@"
fi
unset ROOM_INSIDE
root=$1 shared=$2 binfmt=$3
shift 3
mount -t proc proc /proc
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
cat "$binfmt" >/proc/sys/fs/binfmt_misc/register
mkdir -p "$root/proc" "$root/dev" "$root$shared"
mount -t proc proc "$root/proc"
mount --rbind "$shared" "$root$shared"
for device in null urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
exec chroot "$root" "$@"
