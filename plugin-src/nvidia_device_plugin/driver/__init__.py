# SPDX-License-Identifier: MIT
"""NVIDIA's management library, called in a process of its own: a driver that hangs or was replaced is abandoned."""
