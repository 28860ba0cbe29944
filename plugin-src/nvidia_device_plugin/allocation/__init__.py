# SPDX-License-Identifier: MIT
"""What the kubelet asks about devices, answered from one snapshot without touching anything.

Nothing here keeps state: the kubelet alone decides who holds which device.
"""
