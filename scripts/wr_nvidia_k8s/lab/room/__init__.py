# SPDX-License-Identifier: MIT
"""Private namespaces and cgroups in which real daemons run and leave nothing behind.

May import: common.
"""
