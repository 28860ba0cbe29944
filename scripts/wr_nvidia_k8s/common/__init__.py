# SPDX-License-Identifier: MIT
"""Shared by all packages: the cache and its locks, and the paths of this checkout. Imports none of the others."""
