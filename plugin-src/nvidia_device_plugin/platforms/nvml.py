# SPDX-License-Identifier: MIT
"""GPUs that the NVIDIA driver manages, as its management library lists them (driver/ asks it)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nvidia_device_plugin.driver.worker import is_integrated
from nvidia_device_plugin.model import Device, Inventory

SONAME = "libnvidia-ml.so.1"
LIBRARY_FOLDERS = ("usr/lib64", "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib",
                   "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib")
SHARED_NODES = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset")


def find_library(driver_root: Path) -> Path | None:
    """The management library below `driver_root`, or None."""
    return next((driver_root / folder / SONAME for folder in LIBRARY_FOLDERS
                 if (driver_root / folder / SONAME).exists()), None)


def cards(driver_root: Path) -> int | None:
    """How many NVIDIA display controllers are on the PCI bus; None where sysfs does not say.

    Documentation/ABI/testing/sysfs-bus-pci; class 0x03 is the PCI Code and ID Assignment Specification's, and a
    Tegra's own PCI bridges, of the same vendor, are of another.
    """
    folder = driver_root / "sys/bus/pci/devices"
    if not folder.is_dir():
        return None
    return sum(_read(device / "vendor") == "0x10de" and _read(device / "class").startswith("0x03")
               for device in folder.iterdir())


def inventory(answer: Mapping[str, Any], driver_root: Path, dev_root: Path, device_id_strategy: str,
              *, discrete_only: bool = False) -> Inventory:
    """The worker's answer as devices.

    device_id_strategy: 'uuid' or 'index', what the container runtime is told of a device. The kubelet always sees
    the UUID, which stays the same when a card is moved. discrete_only: leave an integrated GPU out.
    """
    shared = tuple(node for node in SHARED_NODES if (dev_root / node.lstrip("/")).exists())
    gpus: Sequence[Mapping[str, Any]] = answer["gpus"]
    devices = tuple(_device(gpu, shared, driver_root, device_id_strategy) for gpu in gpus
                    if not (discrete_only and is_integrated(gpu.get("name", ""))))
    return Inventory(
        description=f"NVIDIA driver {answer['driver']}, {len(devices)} GPU(s)",
        devices=devices,
        problems=tuple(f"GPU {device.index}: {device.fault}" for device in devices if device.fault),
    )


def _device(gpu: Mapping[str, Any], shared: tuple[str, ...], driver_root: Path, device_id_strategy: str) -> Device:
    index: int = gpu["index"]
    if "fault" in gpu:
        # It cannot say its UUID. Where it was seen before, Inventory.after() knows it by its index.
        return Device(id=f"unreadable-{index}", index=index, visible_as=str(index), fault=gpu["fault"])
    return Device(
        id=gpu["uuid"],
        index=index,
        visible_as=gpu["uuid"] if device_id_strategy == "uuid" else str(index),
        paths=(*shared, f"/dev/nvidia{gpu['minor']}"),
        numa_node=_numa_node(driver_root, gpu["bus_id"]),
    )


def _numa_node(driver_root: Path, bus_id: str) -> int | None:
    """From sysfs (Documentation/ABI/testing/sysfs-bus-pci); the kernel says -1 for none."""
    # NVML writes the PCI domain with eight digits, sysfs with four.
    try:
        node = int(_read(driver_root / "sys/bus/pci/devices" / bus_id[-12:] / "numa_node"))
    except ValueError:
        return None
    return node if node >= 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
