# SPDX-License-Identifier: MIT
"""A real kubelet that runs alone: no API server, over a real containerd, in a `room.Room` of its own.

    with RealKubelet() as kubelet:
        ...start a device plugin on kubelet.socket...
        kubelet.wait(lambda: kubelet.capacity("nvidia.com/gpu") == 1, "nvidia.com/gpu: 1")
        status = kubelet.run_pod("first", ["sh", "-c", "env"], {"nvidia.com/gpu": 1})

Pods are static ones (files in a directory that the kubelet watches), on the room's own network, from an
image with only busybox. Programs: `kubelet.build` makes them. The kubelet's directory is /var/lib/kubelet
inside of the room, as compiled in; outside, where plugins may run, it is a scratch directory.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wr_nvidia_k8s.lab.kubelet import build, pod, settings
from wr_nvidia_k8s.lab.kubelet.checkpoint import Checkpoint
from wr_nvidia_k8s.lab.kubelet.containerd import Containerd
from wr_nvidia_k8s.lab.kubelet.pod import PodStatus
from wr_nvidia_k8s.lab.room import room
from wr_nvidia_k8s.lab.room.room import Room, RoomError

HIDDEN = ("/run", "/var/lib")
"""/run: containerd's shims have their sockets there. /var/lib: has no kubelet on most machines."""
_NODE = "node"
_DEADLINE = 60.0


class KubeletError(RoomError):
    """The kubelet did not do what was expected in time, or was asked for something impossible."""


def unavailable() -> str | None:
    """What is missing to run a real kubelet here and how to get it, or None where nothing is."""
    programs = build.missing()
    if programs:
        return f"a real kubelet ({programs[0]} in {build.folder()}): run scripts/build-kubelet"
    return room.unavailable()


class RealKubelet:
    """One kubelet and its containerd. Needs root, and what `unavailable` names.

    The methods raise RoomError; the subclass KubeletError means that a pod does not exist, or that what they waited
    for did not happen within a minute, and includes the end of the kubelet's log.
    """

    def __init__(self) -> None:
        self._room: Room | None = None
        self._uids: dict[str, str] = {}

    def __enter__(self) -> RealKubelet:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def directory(self) -> Path:
        """The directory ``device-plugins`` of the kubelet, as seen from outside of the room."""
        return self.room.scratch / "kubelet" / "device-plugins"

    @property
    def socket(self) -> Path:
        """The kubelet's registration socket, as seen from outside of the room."""
        return self.directory / "kubelet.sock"

    @property
    def room(self) -> Room:
        """Where the kubelet runs. Raises KubeletError while it does not."""
        if self._room is None:
            raise KubeletError("the kubelet has not been started")
        return self._room

    def start(self) -> None:
        """Start containerd and the kubelet, and wait until the kubelet takes registrations and pods."""
        try:
            self._room = Room(
                "wr-kubelet",
                files={
                    "kubelet/": "",
                    "log/": "",
                    "manifests/": "",
                    "cni/": "",
                    "resolv.conf": "",
                    **{f"sys/{name}": f"{value}\n" for name, value in settings.SYSCTLS.items()},
                },
                own={"bin": build.folder()},
                hide=HIDDEN,
                show={
                    "/var/lib/kubelet": "kubelet",
                    "/var/log": "log",
                    **{f"/proc/sys/{name}": f"sys/{name}" for name in settings.SYSCTLS},
                },
                path=["bin"],
            )
            self._checkpoint = Checkpoint(self.directory)
            self._room.run(["busybox", "ip", "link", "set", "lo", "up"])
            self._containerd = Containerd(self._room)
            self._kubelet = self._containerd.daemon  # until there is one, whoever waits looks at this one's log
            self.wait(self._containerd.is_up, "containerd to answer")
            self._containerd.import_image()
            configuration = self._room.scratch / "kubelet.json"
            configuration.write_text(json.dumps(settings.kubelet(self._room.scratch)))
            self.start_kubelet()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything that was started, pods included, and leave nothing behind. May be called again."""
        if self._room is not None:
            self._room.close()
            self._room = None
        self._uids.clear()

    def restart(self) -> None:
        """End the kubelet and start it again; containerd and the pods go on in between."""
        self.stop_kubelet()
        self.start_kubelet()

    def stop_kubelet(self) -> None:
        """End the kubelet alone; `start_kubelet` starts another one."""
        self._kubelet.stop()
        self.forget_devices()

    def start_kubelet(self) -> None:
        """Start a kubelet, and wait until it takes registrations and has taken up the pods."""
        room = self.room
        command = [
            "kubelet",
            f"--config={room.scratch / 'kubelet.json'}",
            "--container-runtime=remote",
            f"--container-runtime-endpoint=unix://{self._containerd.socket}",
            f"--hostname-override={_NODE}",
            "--v=2",
        ]
        self._kubelet = room.start(command, room.scratch / "kubelet.log")
        self.wait(self._is_kubelet_up, "the kubelet to be healthy and to take registrations")
        for name in self._uids:  # after a restart it takes the pods up one by one
            self.wait(lambda name=name: self._is_settled(name), f"the kubelet to take up the pod {name}")  # type: ignore[misc]

    def forget_devices(self) -> None:
        """Count every resource as 0 in `capacity` until the kubelet hears of it again; see `Checkpoint.forget`."""
        self._checkpoint.forget()

    def wait(self, condition: Callable[[], object], what: str, deadline: float = _DEADLINE) -> None:
        """Poll until ``condition`` holds. Raises KubeletError, saying ``what`` was expected, after ``deadline`` s."""
        end = time.monotonic() + deadline
        while not condition():
            try:
                self._containerd.daemon.check()
                self._kubelet.check()
            except RoomError as error:
                raise KubeletError(f"expected {what}: {error}") from error
            if time.monotonic() > end:
                raise KubeletError(
                    f"expected {what} within {deadline:.0f} s; the end of the kubelet's log:\n{self._kubelet.log()}"
                )
            time.sleep(0.05)

    def capacity(self, resource: str) -> int | None:
        """How many healthy devices of ``resource`` the kubelet has, or None where it knows no such resource.

        That is what a node reports as allocatable. As in a node's status it is 0 from a restart of the kubelet until
        the plugin is back; for an ended plugin see `forget_devices`.
        """
        return self._checkpoint.capacity(resource)

    def devices(self, name: str, resource: str) -> list[str]:
        """The device IDs of ``resource`` that the kubelet has allocated to the pod ``name``."""
        return self._checkpoint.devices(self._uid(name), resource)

    def run_pod(
        self, name: str, command: Sequence[str], resources: Mapping[str, int] | None = None
    ) -> PodStatus:
        """Run a pod with one container, ``resources`` being its limits, and wait until it runs, ends or is refused.

        A container that cannot be started counts as refused: `PodStatus.reason` then ends in Error.
        """
        if name in self._uids:
            raise KubeletError(f"expected the name of a new pod, but a pod {name} exists; remove it first")
        uid = str(uuid.uuid4())  # a pod of the same name and content as an earlier one is still another one
        draft = self.room.scratch / f"{name}.json"
        draft.write_text(json.dumps(pod.manifest(name, uid, command, resources or {})))
        draft.replace(self._manifest(name))
        self._uids[name] = uid
        self.wait(lambda: self._is_settled(name), f"the pod {name} to run, to end or to be refused")
        status = self.pod_status(name)
        assert status is not None  # noqa: S101 -- it is settled, and only remove_pod() removes it
        return status

    def pod_status(self, name: str) -> PodStatus | None:
        """The pod ``name`` as the kubelet reports it (its /pods), or None where it has no such pod."""
        for found in self._get_pods():
            if found["metadata"]["uid"] == self._uids.get(name):
                return PodStatus.of(found.get("status", {}))
        return None

    def output(self, name: str) -> str:
        """What the container of the pod ``name`` has written so far."""
        text = []
        folder = self.room.scratch / "log" / "pods" / f"{pod.NAMESPACE}_{name}-{_NODE}_{self._uid(name)}"
        for log in sorted(folder.glob(f"{pod.CONTAINER}/*.log")):
            for line in log.read_text(errors="replace").splitlines():
                _, _, tag, content = line.split(" ", 3)  # time, stream, P(art) or F(ull line), content
                text.append(content + ("\n" if tag == "F" else ""))
        return "".join(text)

    def execute(self, name: str, argv: Sequence[str]) -> str:
        """Run a command in the running container of the pod ``name``; what it wrote."""
        status = self.pod_status(name)
        if status is None or not status.running:
            raise KubeletError(f"expected the pod {name} to be running, found {status}")
        return self._containerd.execute(status.container_id, argv)

    def mounts(self, name: str) -> dict[str, str]:
        """What is mounted where (destination to source) in the container of the pod ``name``, as its runtime is told.

        The source is the OCI runtime specification that containerd made.
        """
        status = self.pod_status(name)
        if status is None or not status.container_id:
            raise KubeletError(f"expected the pod {name} to have a container, found {status}")
        return self._containerd.mounts(status.container_id)

    def remove_pod(self, name: str) -> None:
        """Remove the pod ``name`` and wait until its containers are gone."""
        uid = self._uid(name)
        self._manifest(name).unlink()

        def is_gone() -> bool:
            return self.pod_status(name) is None and not self._containerd.has_tasks(uid)

        self.wait(is_gone, f"the pod {name} to be gone")
        del self._uids[name]

    def remove_pods(self) -> None:
        """Remove all pods."""
        for name in list(self._uids):
            self.remove_pod(name)

    def _uid(self, name: str) -> str:
        if name not in self._uids:
            raise KubeletError(f"expected one of the pods ({', '.join(self._uids) or 'none'}), found {name}")
        return self._uids[name]

    def _manifest(self, name: str) -> Path:
        return self.room.scratch / "manifests" / f"{name}.json"

    def _is_kubelet_up(self) -> bool:
        return self.socket.is_socket() and self._get(settings.HEALTH_PORT, "healthz") == "ok"

    def _is_settled(self, name: str) -> bool:
        status = self.pod_status(name)
        return status is not None and status.settled

    def _get(self, port: int, path: str) -> str:
        """What the kubelet answers on its loopback, which is the room's; nothing where it does not answer."""
        return self.room.run(["busybox", "wget", "-qO-", f"http://127.0.0.1:{port}/{path}"], check=False)

    def _get_pods(self) -> Iterator[Any]:
        answer = self._get(settings.READ_ONLY_PORT, "pods")
        yield from (json.loads(answer)["items"] or []) if answer else []
