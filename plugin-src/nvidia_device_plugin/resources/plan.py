# SPDX-License-Identifier: MIT
"""Which resources there are, and which devices each has."""

from __future__ import annotations

from collections.abc import Mapping

from nvidia_device_plugin.config import Settings
from nvidia_device_plugin.model import Inventory, Resource

GPU = "nvidia.com/gpu"


def plan(inventory: Inventory, _settings: Settings) -> Mapping[str, Resource]:
    """The resources by name. One without devices is not offered: the kubelet would show a node with zero of it."""
    return {GPU: Resource(GPU, inventory.devices)} if inventory.devices else {}
