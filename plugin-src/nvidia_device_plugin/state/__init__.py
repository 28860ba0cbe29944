# SPDX-License-Identifier: MIT
"""The state of the service: one snapshot, which everybody who shows it subscribes to."""
