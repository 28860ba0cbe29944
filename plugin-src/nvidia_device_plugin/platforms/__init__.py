# SPDX-License-Identifier: MIT
"""Discovery: what GPUs this machine has, by the kinds of machines there are."""
