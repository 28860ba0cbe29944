# SPDX-License-Identifier: MIT
"""What every package may use: the cache and its locks, where this checkout's parts are. Imports none of the others."""
