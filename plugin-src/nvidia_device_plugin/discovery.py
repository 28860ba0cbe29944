# SPDX-License-Identifier: MIT
"""Which GPUs this machine has: the choice between the ways to find them."""

from __future__ import annotations

import logging

from nvidia_device_plugin import nvml, tegra
from nvidia_device_plugin.config import Settings
from nvidia_device_plugin.device import Platform
from nvidia_device_plugin.errors import DiscoveryError


def discover(settings: Settings) -> Platform:
    """The platform and its devices. Raises DiscoveryError where no strategy finds one."""
    strategy = settings.device_discovery_strategy
    if strategy == "auto":
        strategy = _detect(settings)
    if strategy == "tegra":
        platform = tegra.discover(settings.driver_root, settings.dev_root)
        logging.info("Tegra device detected: %s", platform.description)
    else:
        platform = nvml.discover(settings.driver_root, settings.dev_root, settings.device_id_strategy)
        logging.info("NVML devices detected: %s", platform.description)
    if not platform.devices:
        raise DiscoveryError(f"expected at least one GPU, found none ({platform.description})")
    return platform


def _detect(settings: Settings) -> str:
    root = settings.driver_root
    if tegra.is_tegra(root):
        return "tegra"
    if nvml.find_library(root):
        return "nvml"
    raise DiscoveryError(
        f"expected a Tegra system ({root / tegra.RELEASE} or {root / tegra.FAMILY}) or the NVIDIA driver "
        f"({nvml.SONAME}) below {root}, found neither; install the driver, or set --driver-root or "
        f"--device-discovery-strategy")
