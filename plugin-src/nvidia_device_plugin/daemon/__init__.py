# SPDX-License-Identifier: MIT
"""The process: what runs, for how long, and what the service manager is told of it."""
