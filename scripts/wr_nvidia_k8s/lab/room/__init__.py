# SPDX-License-Identifier: MIT
"""Namespaces and cgroups of their own, in which real daemons run and leave nothing behind.

May import: common.
"""
