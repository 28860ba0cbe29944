#!/bin/sh
# SPDX-License-Identifier: MIT
# Run a program as if ROOT were the machine's root, in namespaces of its own, with each plain file in ROOT/dev
# being a device node. No root is needed, and nothing outside changes.
#   room.sh ROOT PROGRAM ARGUMENT...
set -eu
if [ "${ROOM_INSIDE-}" != 1 ]; then
    ROOM_INSIDE=1 exec unshare --user --map-root-user --mount --pid --fork --kill-child "$0" "$@"
fi
unset ROOM_INSIDE
root=$1
shift
mkdir -p "$root/proc" "$root/dev"
mount -t proc proc "$root/proc"
touch "$root/dev/null"
find "$root/dev" -type f | while read -r node; do
    mount --bind /dev/null "$node"
done
exec chroot "$root" "$@"
