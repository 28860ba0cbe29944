# SPDX-License-Identifier: MIT
"""BitBake from outside: kas, the user that it runs as, what it logs, checks of images, tasks of chosen recipes.

May import: freeze, debian, common.
"""
