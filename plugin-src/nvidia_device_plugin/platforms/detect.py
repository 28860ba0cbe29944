# SPDX-License-Identifier: MIT
"""Which GPUs this machine has: the choice between the ways to find them."""

from __future__ import annotations

import logging

from nvidia_device_plugin.config import Settings
from nvidia_device_plugin.driver import client
from nvidia_device_plugin.driver.worker import is_integrated
from nvidia_device_plugin.errors import DiscoveryError
from nvidia_device_plugin.model import Inventory
from nvidia_device_plugin.platforms import nvml, tegra


async def discover(settings: Settings) -> Inventory:
    """A look at the machine. Raises DiscoveryError where no strategy fits it, or the driver does not answer.

    An inventory without devices is a machine whose driver works and that has no GPU at present.
    """
    try:
        return await _discover(settings)
    except DiscoveryError:
        raise
    except Exception as error:
        # What nobody foresaw must not end a service that has GPUs to serve.
        logging.exception("a look at the machine's GPUs failed")
        raise DiscoveryError(f"expected to look at the GPUs, found: {type(error).__name__}: {error}") from error


async def _discover(settings: Settings) -> Inventory:
    root, strategy = settings.driver_root, settings.device_discovery_strategy
    if strategy == "tegra":
        return tegra.discover(root, settings.dev_root)
    library = nvml.find_library(root)
    is_tegra = strategy == "auto" and tegra.is_tegra(root)
    # As NVIDIA's resolver (go-nvlib, pkg/nvlib/info): NVML decides where it is there, unless all that it manages is
    # integrated. A Tegra without a card on its bus need not ask it.
    if is_tegra and (library is None or not nvml.cards(root)):
        return tegra.discover(root, settings.dev_root)
    if library is None:
        raise DiscoveryError(_nothing_found(settings))
    try:
        answer = await client.ask(library)
    except DiscoveryError as error:
        if is_tegra:
            found = tegra.discover(root, settings.dev_root)
            return Inventory(found.description, found.devices, (f"the discrete GPUs are left out: {error}",))
        if isinstance(error, client.NvmlError) and nvml.cards(root) == 0:
            return Inventory("NVIDIA driver, no NVIDIA card on the PCI bus")
        raise
    names = [gpu.get("name", "") for gpu in answer["gpus"]]
    if strategy == "auto" and names and all(is_integrated(name) for name in names):
        return tegra.integrated(root, settings.dev_root, names[0])
    return nvml.inventory(answer, root, settings.dev_root, settings.device_id_strategy,
                          discrete_only=strategy == "auto")


def _nothing_found(settings: Settings) -> str:
    root = settings.driver_root
    if settings.device_discovery_strategy == "nvml":
        return (f"expected the driver's {nvml.SONAME} in a library folder below {root}, found none; "
                f"install the NVIDIA driver or set --driver-root")
    return (f"expected a Tegra system ({root / tegra.RELEASE} or {root / tegra.FAMILY}) or the NVIDIA driver "
            f"({nvml.SONAME}) below {root}, found neither; install the driver, or set --driver-root or "
            f"--device-discovery-strategy")
