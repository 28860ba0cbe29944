# SPDX-License-Identifier: MIT
"""The device plugin frozen with PyInstaller on a Debian machine, as the recipe's class does it in BitBake.

May import: debian, common.
"""
