# SPDX-License-Identifier: MIT
"""Debian's packages beside the system instead of in it: sources, binaries, trees of any architecture.

May import: common.
"""
