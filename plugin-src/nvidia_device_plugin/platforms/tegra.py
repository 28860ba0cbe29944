# SPDX-License-Identifier: MIT
"""Discovery on Tegra: one integrated GPU, told by files of the L4T board support package.

Sources: /etc/nv_tegra_release is written by L4T; /sys/devices/soc0/{family,machine} is the kernel's
soc_device interface (Documentation/ABI/testing/sysfs-devices-soc); the device tree's `model` and
`compatible` are the Devicetree Specification's. The CSV files are those that NVIDIA's container runtime
reads in its csv mode: lines of `TYPE, PATH`, of which `dev` names a device node.
"""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

from nvidia_device_plugin.errors import DiscoveryError
from nvidia_device_plugin.model import Device, Inventory

RELEASE = "etc/nv_tegra_release"
FAMILY = "sys/devices/soc0/family"
MACHINE = "sys/devices/soc0/machine"
# Not /proc/device-tree: that is an absolute link, which would lead out of the driver root.
MODEL = "sys/firmware/devicetree/base/model"
COMPATIBLE = "sys/firmware/devicetree/base/compatible"
CSV_FOLDER = "etc/nvidia-container-runtime/host-files-for-container.d"

# In csv mode NVIDIA's toolkit takes "all" and indexes only, from 1.18 on nothing but "all" and "0".
DEVICE_ID = "0"
# Beside a driver's GPUs, which count from 0.
_INDEX = -1


def is_tegra(driver_root: Path) -> bool:
    """Whether the tree below `driver_root` is that of a Tegra system, as NVIDIA's go-nvlib decides it."""
    return (driver_root / RELEASE).is_file() or _text(driver_root / FAMILY).lower().startswith("tegra")


def discover(driver_root: Path, dev_root: Path) -> Inventory:
    """The board's GPU. Raises DiscoveryError where the tree is not that of a Tegra system."""
    if not is_tegra(driver_root):
        raise DiscoveryError(
            f"expected a Tegra system: the file {driver_root / RELEASE}, or {driver_root / FAMILY} beginning "
            f"with 'tegra'; found neither. Check --driver-root and --device-discovery-strategy")
    return integrated(driver_root, dev_root)


def integrated(driver_root: Path, dev_root: Path, name: str = "unknown board") -> Inventory:
    """The integrated GPU of a machine that is known to have one. name: what to call it where no file says."""
    model = _text(driver_root / MODEL) or _text(driver_root / MACHINE) or name
    return Inventory(
        description=f"{model}, SoC {soc(driver_root)}, L4T {l4t_release(driver_root)}",
        devices=(Device(id=DEVICE_ID, index=_INDEX, visible_as=DEVICE_ID,
                        paths=csv_device_nodes(driver_root, dev_root)),),
        can_change=False,
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
    """The device nodes that the runtime's CSV files name and that exist below `dev_root`, sorted.

    A name may hold the wildcards of a shell (/dev/dri/card*), which the runtime expands as well.
    """
    nodes = set()
    for file in sorted((driver_root / CSV_FOLDER).glob("*.csv")):
        for line in _text(file, separator="\n").splitlines():
            kind, _, path = (part.strip() for part in line.partition(","))
            if kind == "dev" and path.startswith("/dev/"):
                nodes.update(_nodes(path, dev_root))
    return tuple(sorted(nodes))


def _nodes(pattern: str, dev_root: Path) -> list[str]:
    # Neither function raises for a line that is no path, such as one longer than the file system takes.
    root = str(dev_root).rstrip("/")
    found = glob.glob(glob.escape(root) + pattern)  # noqa: PTH207
    return [path[len(root):] for path in found if os.path.exists(path)]  # noqa: PTH110


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
