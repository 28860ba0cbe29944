# SPDX-License-Identifier: MIT
"""Writes systemd's units for the disk with the state of Docker and Kubernetes.

    data_disk.py TEMPLATES OUTPUT DISK --libexecdir /usr/libexec

DISK is a device, or LABEL=, UUID=, PARTLABEL= or PARTUUID= and a value. OUTPUT gets the units and, for each service
that is not to start without the disk, a drop-in.
"""

from __future__ import annotations

import argparse
from pathlib import Path

PATHS = ("/var/lib/containerd", "/var/lib/docker", "/var/lib/kubelet", "/var/lib/rancher")
"""What is on the disk. Docker's containerd and k3s's own are told apart by their paths."""
SERVICES = ("containerd", "docker", "k3s", "k3s-agent", "nvidia-device-plugin")
"""What keeps its state there."""


def device(disk: str) -> str:
    """The path of ``disk`` in /dev: udev's link for LABEL=data and so on."""
    tag, equals, value = disk.partition("=")
    return f"/dev/disk/by-{tag.lower()}/{value}" if equals else disk


def unit_name(path: str) -> str:
    """``path`` as the name of a unit, without its suffix: systemd.unit(5), "String Escaping for Inclusion"."""

    def escape(at: int, char: str) -> str:
        if char == "/":
            return "-"
        if (char.isascii() and char.isalnum()) or char in ":_" or (char == "." and at):
            return char
        return "".join(f"\\x{byte:02x}" for byte in char.encode())

    return "".join(escape(at, char) for at, char in enumerate(path.strip("/")))


def write_units(templates: Path, output: Path, disk: str, libexecdir: str) -> None:
    """Fill the ``templates`` in, and write them to the folder ``output``."""
    node = device(disk)
    words = {"DEVICE": node, "UNIT": unit_name(node), "PATHS": " ".join(PATHS), "LIBEXECDIR": libexecdir}

    def write(template: str, target: str, **more: str) -> None:
        text = (templates / template).read_text()
        for word, value in {**words, **more}.items():
            text = text.replace(f"@{word}@", value)
        file = output / target
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    for name in ("data-disk.service", "data.mount"):
        write(name, name)
    for path in PATHS:
        write("state.mount", f"{unit_name(path)}.mount", WHERE=path, NAME=Path(path).name)
    for service in SERVICES:
        write("data-disk.conf", f"{service}.service.d/data-disk.conf")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the units of the data disk.")
    parser.add_argument("templates", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("disk")
    parser.add_argument("--libexecdir", required=True)
    options = parser.parse_args()
    write_units(options.templates, options.output, options.disk, options.libexecdir)


if __name__ == "__main__":
    main()
