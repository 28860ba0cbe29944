# SPDX-License-Identifier: MIT
"""The configuration of a kubelet that runs alone, without an API server, and of the containerd below it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wr_nvidia_k8s.lab.kubelet import busybox

HEALTH_PORT = 10248
READ_ONLY_PORT = 10255

# What a kubelet wants of the kernel (pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables) and
# otherwise sets itself, for the whole machine. It is told to fail rather than to do so.
SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}


def kubelet(scratch: Path) -> dict[str, Any]:
    """KubeletConfiguration, kubelet.config.k8s.io/v1beta1. It is reachable from within the room only."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "staticPodPath": str(scratch / "manifests"),
        "address": "127.0.0.1",
        "readOnlyPort": READ_ONLY_PORT,
        "healthzPort": HEALTH_PORT,
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "protectKernelDefaults": True,
        "makeIPTablesUtilChains": False,
        "resolvConf": str(scratch / "resolv.conf"),
        "volumePluginDir": str(scratch / "volume-plugins"),
        # A disk that is nearly full is no reason to refuse a pod of ours.
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "1Mi", "imagefs.available": "1Mi"},
        "imageGCHighThresholdPercent": 100,
    }


def containerd(scratch: Path) -> str:
    """containerd's configuration, version 2 (containerd-config.toml(5), CRI plugin: docs/cri/config.md)."""
    quote = json.dumps  # what JSON makes of a path is a TOML string as well
    return f"""
version = 2
root = {quote(str(scratch / "containerd"))}
state = "/run/containerd"

[grpc]
  address = {quote(str(scratch / "containerd.sock"))}

[plugins."io.containerd.internal.v1.opt"]
  path = {quote(str(scratch / "containerd" / "opt"))}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {quote(busybox.IMAGE)}
  # Containers may lack CAP_SYS_RESOURCE, which a lower oom_score_adj takes.
  restrict_oom_score_adj = true
  # The profile would be loaded into the kernel, and stay.
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = {quote(str(scratch / "cni"))}
  [plugins."io.containerd.grpc.v1.cri".containerd]
    # Copies a few megabytes where overlayfs would not, and works on every file system.
    snapshotter = "native"
"""
