# SPDX-License-Identifier: MIT
"""Which boards a test run parses: a parse takes minutes a machine."""

import os

# Boards whose layers are those of another one, which stands for them, unless WR_NVIDIA_K8S_IMAGES=all asks for every
# one and for whole dry runs.
STANDS_FOR = {
    "jetson-agx-orin": "jetson-orin-nano",
    "jetson-agx-orin-64gb": "jetson-orin-nano",
    "jetson-agx-xavier": "jetson-xavier-nx",
    "jetson-orin-nano-nvme": "jetson-orin-nano",
    "jetson-orin-nx": "jetson-orin-nano",
    "jetson-orin-nx-8gb": "jetson-orin-nano",
    "qemu-x86-64": "qemu-arm64",
}
ALL_IMAGES = os.environ.get("WR_NVIDIA_K8S_IMAGES") == "all"
