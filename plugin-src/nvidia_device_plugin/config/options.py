# SPDX-License-Identifier: MIT
"""The options: their names, where each can be set, and which of their values are built.

Names, environment variables, configuration keys and defaults are those of NVIDIA's own plugin
(k8s-device-plugin, cmd/nvidia-device-plugin and api/config/v1), so that what its users know and have
written still holds. What is known but not built is refused by name: an option that is silently ignored
is a cluster that silently does something else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

KUBELET_SOCKET = "/var/lib/kubelet/device-plugins/kubelet.sock"


@dataclass(frozen=True)
class Option:
    """One option.

    name: the flag without its dashes; its attribute in Settings is the same with underscores.
    env: environment variables, the first one set wins.
    key: dotted path in the configuration file, or None where a file cannot set it.
    choices: every value NVIDIA's plugin takes; built: those this plugin takes (None: all of them), and
        why_not: the reason for which it does not take the others.
    is_built: False for an option that only its default is accepted for.
    is_list: True where several values can be given: separated by commas, the flag repeated, or a YAML list.
    """

    name: str
    env: tuple[str, ...]
    key: str | None
    default: str | bool | None
    help: str
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    built: tuple[str, ...] | None = None
    why_not: str = ""
    is_built: bool = True
    is_list: bool = False
    metavar: str | None = field(default=None)

    @property
    def attribute(self) -> str:
        return self.name.replace("-", "_")

    @property
    def is_bool(self) -> bool:
        return isinstance(self.default, bool)


def _not_built(name: str, env: tuple[str, ...], key: str | None, default: str | bool = "",
               aliases: tuple[str, ...] = ()) -> Option:
    return Option(name, env, key, default, "not built yet: refused", aliases=aliases, is_built=False)


OPTIONS: tuple[Option, ...] = (
    Option("config-file", ("CONFIG_FILE",), None, None,
           "YAML file with 'version: v1' and 'flags:'; flags and environment variables win over it",
           metavar="FILE"),
    Option("kubelet-socket", ("KUBELET_SOCKET",), None, KUBELET_SOCKET,
           "the kubelet's registration socket; the plugin serves in the same folder. "
           "Empty: serve there without registering", metavar="PATH"),
    Option("device-discovery-strategy", ("DEVICE_DISCOVERY_STRATEGY",), "deviceDiscoveryStrategy", "auto",
           "how GPUs are found: auto takes tegra where the SoC has the GPU, and nvml otherwise; both offers that GPU "
           "and the cards beside it (NVIDIA's plugin has no such value)",
           choices=("auto", "tegra", "nvml", "both")),
    Option("driver-root", ("NVIDIA_DRIVER_ROOT",), "nvidiaDriverRoot", "/",
           "folder that stands for / when the driver and the board are looked up",
           aliases=("nvidia-driver-root",), metavar="DIR"),
    Option("dev-root", ("NVIDIA_DEV_ROOT",), "nvidiaDevRoot", "",
           "folder that stands for / when device nodes are looked up (default: the driver root)",
           aliases=("nvidia-dev-root",), metavar="DIR"),
    Option("device-list-strategy", ("DEVICE_LIST_STRATEGY",), "plugin.deviceListStrategy", "envvar",
           "how the container runtime is told the devices: by a variable, which an image can set as well, or by "
           "mounts, which it cannot; several are separated by commas",
           choices=("envvar", "volume-mounts", "cdi-annotations", "cdi-cri"), built=("envvar", "volume-mounts"),
           why_not="k3s runs containers on Docker here, to which cri-dockerd passes no CDI devices", is_list=True),
    Option("device-id-strategy", ("DEVICE_ID_STRATEGY",), "plugin.deviceIDStrategy", "uuid",
           "what the container runtime is told of a device (on Tegra it is always '0')",
           choices=("uuid", "index")),
    Option("pass-device-specs", ("PASS_DEVICE_SPECS",), "plugin.passDeviceSpecs", False,
           "also hand the kubelet the device nodes of an allocation"),
    Option("fail-on-init-error", ("FAIL_ON_INIT_ERROR",), "failOnInitError", True,
           "exit when the driver cannot be asked for its GPUs; false: look again until it can"),
    Option("mig-strategy", ("MIG_STRATEGY",), "migStrategy", "none",
           "how MIG devices are offered", choices=("none", "single", "mixed"), built=("none",)),
    _not_built("gdrcopy-enabled", ("GDRCOPY_ENABLED",), "gdrcopyEnabled", False),
    _not_built("gds-enabled", ("GDS_ENABLED",), "gdsEnabled", False),
    _not_built("mofed-enabled", ("MOFED_ENABLED",), "mofedEnabled", False),
    _not_built("mps-root", ("MPS_ROOT",), "mpsRoot"),
    _not_built("cdi-annotation-prefix", ("CDI_ANNOTATION_PREFIX",), "plugin.cdiAnnotationPrefix"),
    _not_built("nvidia-cdi-hook-path", ("NVIDIA_CDI_HOOK_PATH", "NVIDIA_CTK_PATH"), "plugin.nvidiaCTKPath",
               aliases=("nvidia-ctk-path",)),
    _not_built("driver-root-ctr-path", ("DRIVER_ROOT_CTR_PATH", "CONTAINER_DRIVER_ROOT"),
               "plugin.containerDriverRoot", aliases=("container-driver-root",)),
    _not_built("shared-devices-allocation-policy", ("SHARED_DEVICES_ALLOCATION_POLICY",),
               "plugin.sharedDevicesAllocationPolicy"),
    _not_built("cdi-feature-flags", ("CDI_FEATURE_FLAGS",), None),
    _not_built("cdi-disable-hooks", ("CDI_DISABLE_HOOKS",), None),
    _not_built("imex-channel-ids", ("IMEX_CHANNEL_IDS",), None),
    _not_built("imex-required", ("IMEX_REQUIRED",), None, False),
)
