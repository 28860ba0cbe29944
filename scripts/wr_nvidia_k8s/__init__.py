# SPDX-License-Identifier: MIT
"""The logic behind the commands in scripts/."""
