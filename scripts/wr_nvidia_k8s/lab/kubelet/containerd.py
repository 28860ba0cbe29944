# SPDX-License-Identifier: MIT
"""The containerd below a real kubelet, in the kubelet's own `room.Room`."""

from __future__ import annotations

import contextlib
import json
import socket
import uuid
from collections.abc import Sequence

from wr_nvidia_k8s.lab.kubelet import build, busybox, settings
from wr_nvidia_k8s.lab.room.room import Room


class Containerd:
    """Started when it is made; `is_up` tells when it answers. The methods raise RoomError where ctr fails."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.socket = room.scratch / "containerd.sock"
        configuration = room.scratch / "containerd.toml"
        configuration.write_text(settings.containerd(room.scratch))
        self.daemon = room.start(["containerd", "--config", str(configuration)], room.scratch / "containerd.log")

    def is_up(self) -> bool:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
            return connection.connect_ex(str(self.socket)) == 0

    def import_image(self) -> None:
        """Bring the one image that pods are made from (`busybox`)."""
        archive = self._room.scratch / "image.tar"
        busybox.write(build.folder() / "busybox", archive)
        self._ctr("images", "import", "--snapshotter", "native", str(archive))

    def execute(self, container: str, argv: Sequence[str]) -> str:
        """Run a command in a running container; what it wrote."""
        return self._ctr("tasks", "exec", "--exec-id", uuid.uuid4().hex, container, *argv)

    def mounts(self, container: str) -> dict[str, str]:
        """What is mounted where (destination to source), from the OCI runtime specification that containerd made."""
        specification = json.loads(self._ctr("containers", "info", container))["Spec"]
        return {mount["destination"]: mount["source"] for mount in specification["mounts"]}

    def has_tasks(self, pod_uid: str) -> bool:
        """Whether a container of the pod with this UID is still there with a process."""
        label = f'labels."io.kubernetes.pod.uid"=={pod_uid}'
        containers = self._ctr("containers", "list", "--quiet", label).split()
        tasks = [line.split()[0] for line in self._ctr("tasks", "list").splitlines()[1:]]
        return bool(set(containers) & set(tasks))

    def _ctr(self, *arguments: str) -> str:
        return self._room.run(["ctr", "--address", str(self.socket), "--namespace", "k8s.io", *arguments])
