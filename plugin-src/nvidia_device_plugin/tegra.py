# SPDX-License-Identifier: MIT
"""Discovery on Tegra: one integrated GPU, told by files of the L4T board support package.

Sources: /etc/nv_tegra_release is written by L4T; /sys/devices/soc0/{family,machine} is the kernel's
soc_device interface (Documentation/ABI/testing/sysfs-devices-soc); the device tree's `model` and
`compatible` are the Devicetree Specification's. The CSV files are those that NVIDIA's container runtime
reads in its csv mode: lines of `TYPE, PATH`, of which `dev` names a device node.
"""

from __future__ import annotations

import re
from pathlib import Path

from nvidia_device_plugin.device import Device, Platform
from nvidia_device_plugin.errors import DiscoveryError

RELEASE = "etc/nv_tegra_release"
FAMILY = "sys/devices/soc0/family"
MACHINE = "sys/devices/soc0/machine"
# Not /proc/device-tree: that is an absolute link, which would lead out of the driver root.
MODEL = "sys/firmware/devicetree/base/model"
COMPATIBLE = "sys/firmware/devicetree/base/compatible"
CSV_FOLDER = "etc/nvidia-container-runtime/host-files-for-container.d"

# In csv mode NVIDIA's toolkit takes "all" and indexes only, from 1.18 on nothing but "all" and "0".
DEVICE_ID = "0"


def is_tegra(driver_root: Path) -> bool:
    """Whether the tree below `driver_root` is that of a Tegra system, as NVIDIA's go-nvlib decides it."""
    return (driver_root / RELEASE).is_file() or _text(driver_root / FAMILY).lower().startswith("tegra")


def discover(driver_root: Path, dev_root: Path) -> Platform:
    """The board's GPU. Raises DiscoveryError where the tree is not that of a Tegra system."""
    if not is_tegra(driver_root):
        raise DiscoveryError(
            f"expected a Tegra system: the file {driver_root / RELEASE}, or {driver_root / FAMILY} beginning "
            f"with 'tegra'; found neither. Check --driver-root and --device-discovery-strategy")
    model = _text(driver_root / MODEL) or _text(driver_root / MACHINE) or "unknown board"
    return Platform(
        description=f"{model}, SoC {soc(driver_root)}, L4T {l4t_release(driver_root)}",
        devices=(Device(id=DEVICE_ID, index=0),),
        visible_as={DEVICE_ID: DEVICE_ID},
        shared_paths=csv_device_nodes(driver_root, dev_root),
    )


def soc(driver_root: Path) -> str:
    """The SoC's name, such as tegra234, from the device tree's `compatible` list; 'unknown' without one."""
    for entry in _text(driver_root / COMPATIBLE, separator=" ").split():
        if entry.startswith("nvidia,tegra"):
            return entry.removeprefix("nvidia,")
    return "unknown"


def l4t_release(driver_root: Path) -> str:
    """The L4T release, such as R36.4.3; 'unknown' where /etc/nv_tegra_release does not say."""
    match = re.search(r"R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)", _text(driver_root / RELEASE))
    return f"R{match[1]}.{match[2]}" if match else "unknown"


def csv_device_nodes(driver_root: Path, dev_root: Path) -> tuple[str, ...]:
    """The device nodes that the runtime's CSV files name and that exist below `dev_root`, sorted."""
    nodes = set()
    for file in sorted((driver_root / CSV_FOLDER).glob("*.csv")):
        for line in _text(file, separator="\n").splitlines():
            kind, _, path = (part.strip() for part in line.partition(","))
            if kind == "dev" and path.startswith("/dev/") and (dev_root / path.lstrip("/")).exists():
                nodes.add(path)
    return tuple(sorted(nodes))


def _text(path: Path, separator: str = "") -> str:
    """The file's text without its closing NULs and white space, '' where there is no such file.

    Device tree strings end in NUL, and lists are separated by it.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").rstrip("\0\n ").replace("\0", separator)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise DiscoveryError(f"expected to read {path}: {error.strerror}") from error
