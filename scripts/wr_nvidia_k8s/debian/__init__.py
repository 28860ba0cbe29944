# SPDX-License-Identifier: MIT
"""Debian packages unpacked beside the system instead of installed: sources, binaries, trees for any architecture.

May import: common.
"""
