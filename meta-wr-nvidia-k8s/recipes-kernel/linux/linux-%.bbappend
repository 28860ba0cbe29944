# SPDX-License-Identifier: MIT
#
# A layer changes no kernel by being there: the distribution feature asks for it. It is asked here, not in a variable
# of the recipe, whose text would be part of the kernel's hash in either case. The name fits the kernel of each stack,
# of which the others do not have a recipe; of all else that is called linux-something, nothing is meant, nor is a
# second kernel, such as the one that only flashes a board.
require ${@bb.utils.contains('DISTRO_FEATURES', 'nvidia-k8s', 'nvidia-k8s-kernel.inc', '', d) \
    if bb.data.inherits_class('kernel-yocto', d) and d.getVar('KERNEL_PACKAGE_NAME') == 'kernel' else ''}
