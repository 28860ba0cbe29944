# SPDX-License-Identifier: MIT
"""Which GPUs this machine has: the choice between the ways to find them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nvidia_device_plugin.config import Settings
from nvidia_device_plugin.driver import client
from nvidia_device_plugin.driver.worker import is_integrated
from nvidia_device_plugin.errors import DiscoveryError
from nvidia_device_plugin.model import Inventory
from nvidia_device_plugin.platforms import nvml, tegra
from nvidia_device_plugin.text import listed


async def discover(settings: Settings, *, is_first: bool = True) -> Inventory:
    """A look at the machine. Raises DiscoveryError where no strategy fits it, or the driver does not answer.

    An inventory without devices is a machine whose driver works and that has no GPU at present. is_first: False where
    it was decided already what this machine is.
    """
    try:
        return await _discover(settings, is_first)
    except DiscoveryError:
        raise
    except Exception as error:
        # What nobody foresaw must not end a service that has GPUs to serve.
        logging.exception("a look at the machine's GPUs failed")
        raise DiscoveryError(f"expected to look at the GPUs, found: {type(error).__name__}: {error}") from error


async def _discover(settings: Settings, is_first: bool) -> Inventory:
    root, strategy = settings.driver_root, settings.device_discovery_strategy
    if strategy == "tegra":
        return tegra.discover(root, settings.dev_root)
    library = nvml.find_library(root)
    is_both = strategy == "both"
    # The SoC's GPU is always offered with the strategy `both`; with `auto`, what was once chosen stays.
    is_tegra = strategy != "nvml" and (is_first or is_both) and tegra.is_tegra(root)
    # As NVIDIA's resolver (go-nvlib, pkg/nvlib/info, since 0.12): Tegra where NVML lists an integrated GPU, or where
    # there is none; otherwise NVML. A Tegra without a card on its bus need not ask it.
    if is_tegra and (library is None or not nvml.cards(root)):
        return replace(tegra.discover(root, settings.dev_root), can_change=is_both)
    if library is None:
        raise DiscoveryError(_nothing_found(settings))
    try:
        answer = await client.ask(library)
    except DiscoveryError as error:
        if is_tegra:
            return replace(tegra.discover(root, settings.dev_root), can_change=is_both,
                           problems=(f"the discrete GPUs are left out: {error}",))
        if isinstance(error, client.NvmlError) and nvml.cards(root) == 0:
            return Inventory("NVIDIA driver, no NVIDIA card on the PCI bus")
        raise
    return _chosen(answer, settings, is_tegra)


def _chosen(answer: Mapping[str, Any], settings: Settings, is_tegra: bool) -> Inventory:
    """What is offered of the GPUs that NVML lists, and of a Tegra's own, which it may not list."""
    root, strategy = settings.driver_root, settings.device_discovery_strategy
    names = [gpu.get("name", "") for gpu in answer["gpus"]]
    own, cards = ([name for name in names if is_integrated(name) is kind] for kind in (True, False))
    found = nvml.inventory(answer, root, settings.dev_root, settings.device_id_strategy,
                           discrete_only=strategy != "nvml")
    if strategy == "nvml" or not (own or is_tegra):
        return found
    integrated = tegra.integrated(root, settings.dev_root, *own[:1])
    if strategy == "both":
        return replace(found, description=f"{integrated.description}; {found.description}",
                       devices=integrated.devices + found.devices)
    if own:
        return replace(integrated, problems=_left_out(cards, "tegra"))
    return replace(found, problems=found.problems + _left_out([integrated.description], "nvml"))


def _left_out(names: Sequence[str], chosen: str) -> tuple[str, ...]:
    if not names:
        return ()
    kind, others = ("discrete", "nvml") if chosen == "tegra" else ("integrated", "tegra")
    return (f"left out: {kind} GPU {listed(names)}; deviceDiscoveryStrategy: {others} offers it instead, both offers "
            f"it as well",)


def _nothing_found(settings: Settings) -> str:
    root = settings.driver_root
    if settings.device_discovery_strategy == "nvml":
        return (f"expected the driver's {nvml.SONAME} in a library folder below {root}, found none; "
                f"install the NVIDIA driver or set --driver-root")
    return (f"expected a Tegra system ({root / tegra.RELEASE} or {root / tegra.FAMILY}) or the NVIDIA driver "
            f"({nvml.SONAME}) below {root}, found neither; install the driver, or set --driver-root or "
            f"--device-discovery-strategy")
