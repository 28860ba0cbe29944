# SPDX-License-Identifier: MIT
"""The device plugin frozen with PyInstaller on a Debian machine, in the way the recipe's class does it in BitBake.

May import: debian, common.
"""
