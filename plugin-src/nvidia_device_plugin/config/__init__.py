# SPDX-License-Identifier: MIT
"""The plugin's settings: what can be set (options), where it is read (file), and what comes of it (settings)."""

from nvidia_device_plugin.config.settings import Settings, load

__all__ = ["Settings", "load"]
