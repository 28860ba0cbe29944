# SPDX-License-Identifier: MIT
"""One module per command of scripts/: its options, its output and its exit codes. May import all packages."""
