# SPDX-License-Identifier: MIT
"""What is offered under which names, made from the inventory and the settings."""
