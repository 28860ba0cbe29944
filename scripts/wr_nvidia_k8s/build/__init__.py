# SPDX-License-Identifier: MIT
"""BitBake from outside: kas, the user who runs it, its log, checks of images, tasks of chosen recipes.

May import: freeze, debian, common.
"""
