# SPDX-License-Identifier: MIT
"""Pods as a kubelet takes them from a file, and as it reports them (Kubernetes API, core/v1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wr_nvidia_k8s.lab.kubelet import busybox

CONTAINER = "main"
NAMESPACE = "default"


@dataclass(frozen=True)
class PodStatus:
    """A pod as the kubelet reports it.

    phase, reason, message: of the pod (Kubernetes API, PodStatus), reason and message of its container where
    that is waiting or terminated. exit_code: of the container, None until it has ended.
    """

    phase: str
    reason: str
    message: str
    running: bool
    exit_code: int | None
    container_id: str

    @property
    def ended(self) -> bool:
        """Whether the pod has run to its end or was refused."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def settled(self) -> bool:
        """Whether the pod runs, has ended, was refused or has a container that cannot be started."""
        return self.running or self.ended or self.reason.endswith("Error")

    @staticmethod
    def of(status: Mapping[str, Any]) -> PodStatus:
        """A pod's ``status`` of the API."""
        container: dict[str, Any] = next(iter(status.get("containerStatuses") or []), {})
        state = container.get("state") or {}
        ended = state.get("terminated") or {}
        cause = ended or state.get("waiting") or {}
        return PodStatus(
            phase=status.get("phase", ""),
            reason=status.get("reason") or cause.get("reason", ""),
            message=status.get("message") or cause.get("message", ""),
            running="running" in state,
            exit_code=ended.get("exitCode"),
            container_id=container.get("containerID", "").removeprefix("containerd://"),
        )


def manifest(name: str, uid: str, command: Sequence[str], resources: Mapping[str, int]) -> dict[str, Any]:
    """A pod with one container that runs ``command``, ``resources`` being its limits."""
    container = {
        "name": CONTAINER,
        "image": busybox.IMAGE,
        "imagePullPolicy": "Never",
        "command": list(command),
        "resources": {"limits": {resource: str(count) for resource, count in resources.items()}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": uid},
        "spec": {
            "hostNetwork": True,  # needs no CNI plugin
            "dnsPolicy": "Default",
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
        },
    }
