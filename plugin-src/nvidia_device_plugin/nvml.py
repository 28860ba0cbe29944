# SPDX-License-Identifier: MIT
"""Discovery through NVML, the driver's management library (NVIDIA, "NVML API Reference Guide").

The library is read once and shut down again; the service keeps no handle to the driver.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nvidia_device_plugin.device import Device, Platform
from nvidia_device_plugin.errors import DiscoveryError

SONAME = "libnvidia-ml.so.1"
LIBRARY_FOLDERS = ("usr/lib64", "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib",
                   "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib")
SHARED_NODES = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset")


def find_library(driver_root: Path) -> Path | None:
    """The management library below `driver_root`, or None."""
    return next((driver_root / folder / SONAME for folder in LIBRARY_FOLDERS
                 if (driver_root / folder / SONAME).exists()), None)


def discover(driver_root: Path, dev_root: Path, device_id_strategy: str) -> Platform:
    """The GPUs that the driver manages; an empty machine gives no devices.

    device_id_strategy: 'uuid' or 'index', what the container runtime is told of a device. The kubelet
    always sees the UUID, which stays the same when a card is moved.
    Raises DiscoveryError where the library is missing or the driver does not answer.
    """
    with _session(driver_root) as pynvml:
        try:
            devices = [_device(pynvml, index, driver_root) for index in range(pynvml.nvmlDeviceGetCount())]
            version = _str(pynvml.nvmlSystemGetDriverVersion())
        except pynvml.NVMLError as error:
            raise DiscoveryError(f"expected NVML to describe its devices, found: {error}; "
                                 f"check that nvidia-smi works") from error
    return Platform(
        description=f"NVIDIA driver {version}, {len(devices)} GPU(s)",
        devices=tuple(devices),
        visible_as={device.id: device.id if device_id_strategy == "uuid" else str(device.index)
                    for device in devices},
        shared_paths=tuple(node for node in SHARED_NODES if (dev_root / node.lstrip("/")).exists()),
    )


@contextmanager
def _session(driver_root: Path) -> Iterator[Any]:
    import pynvml

    library = find_library(driver_root)
    if library is None:
        raise DiscoveryError(f"expected the driver's {SONAME} in a library folder below {driver_root}, found none; "
                             f"install the NVIDIA driver or set --driver-root")
    try:
        # pynvml opens the library by its bare name; the loader gives it the copy that is already there.
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        pynvml.nvmlInit()
    except (OSError, pynvml.NVMLError) as error:
        raise DiscoveryError(f"expected {library} to start, found: {error}; "
                             f"check that the kernel module is loaded (nvidia-smi)") from error
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _device(pynvml: Any, index: int, driver_root: Path) -> Device:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    bus_id = _str(pynvml.nvmlDeviceGetPciInfo(handle).busId).lower()
    return Device(
        id=_str(pynvml.nvmlDeviceGetUUID(handle)),
        index=index,
        paths=(f"/dev/nvidia{pynvml.nvmlDeviceGetMinorNumber(handle)}",),
        numa_node=_numa_node(driver_root, bus_id),
    )


def _numa_node(driver_root: Path, bus_id: str) -> int | None:
    """From sysfs (Documentation/ABI/testing/sysfs-bus-pci); the kernel says -1 for none."""
    # NVML writes the PCI domain with eight digits, sysfs with four.
    file = driver_root / "sys/bus/pci/devices" / bus_id[-12:] / "numa_node"
    try:
        node = int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return node if node >= 0 else None


def _str(value: str | bytes) -> str:
    """pynvml gives bytes or text, depending on its release."""
    return value.decode() if isinstance(value, bytes) else value
