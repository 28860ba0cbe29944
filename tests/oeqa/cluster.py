# SPDX-License-Identifier: MIT
"""An API server with one node, as much of Kubernetes as kubectl 1.20 needs to be used on it in earnest.

kubectl is the real one, so verbs, options and the output of a user's command line are Kubernetes' own. Behind its
HTTP interface: a node, pods, a scheduler that counts GPUs, and a kubelet that runs containers by a function that it
is given. What it does not know it refuses.
"""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.parse
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GPU = "nvidia.com/gpu"
NODE = "board"
Object = dict[str, Any]
_PODS = "/api/v1/namespaces/default/pods"
# A pod of the tests may say this much; more is a mistake, or needs more of a kubelet.
_KNOWN = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "metadata": {"name", "namespace", "labels"},
    "spec": {
        "automountServiceAccountToken", "containers", "nodeSelector", "restartPolicy", "terminationGracePeriodSeconds",
    },
    "container": {"name", "image", "imagePullPolicy", "command", "env", "resources"},
}  # fmt: skip


class Container:
    """A container's life: `run` is called with the container's part of the pod and whether it has the GPU."""

    def __init__(self) -> None:
        self.output = ""
        self.ended = threading.Event()
        self.exit_code = 0
        self.kill: Callable[[], None] = lambda: None


class Cluster:
    """The cluster's state, and what can be wrong with it; its server listens on the loopback at `port`.

    run: starts a container and returns it, or raises LookupError where its image cannot be had.
    """

    def __init__(self, run: Callable[[Object, bool], Container]) -> None:
        self.ready = True
        self.gpus = 1
        self.overcommits = False
        """A scheduler that does not count."""
        self.gives_gpu_to_all = False
        self.gives_gpu = True
        self.deleted: list[str] = []
        self._run = run
        self._changed = threading.Condition(threading.RLock())
        self._version = 0
        self._pods: dict[str, Object] = {}
        self._containers: dict[str, Container] = {}
        self._events: list[tuple[str, Object]] = []
        self._closed = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop everything that runs."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            for container in self._containers.values():
                container.kill()
        self._server.shutdown()
        self._server.server_close()

    @property
    def pods(self) -> list[str]:
        """The names of the pods that are there."""
        with self._changed:
            return sorted(self._pods)

    def node(self) -> Object:
        """The node, as its kubelet reports it."""
        status = "True" if self.ready else "False"
        heard = {"lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        resources = {"cpu": "4", "memory": "8Gi", "pods": "110", GPU: str(self.gpus)}
        info = ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion",
                "kubeletVersion", "kubeProxyVersion", "operatingSystem", "architecture")  # fmt: skip
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": NODE, "uid": NODE, "labels": {"kubernetes.io/hostname": NODE}, "resourceVersion": "1"},
            "spec": {},
            "status": {
                "allocatable": resources,
                "capacity": resources,
                "conditions": [{"type": "Ready", "status": status, "reason": "KubeletNotReady", **heard}],
                "nodeInfo": dict.fromkeys(info, "stand-in"),
            },
        }

    def create(self, pod: Object) -> Object:
        """Take a pod in, schedule it and start its container."""
        (container,) = pod["spec"]["containers"]
        for part, value in {**pod, "": pod, "container": container}.items():
            if isinstance(value, dict) and (unknown := set(value) - _KNOWN[part]):
                raise ValueError(f"the stand-in knows no {sorted(unknown)} in {part or 'a pod'}")
        if pod["spec"]["nodeSelector"] != {"kubernetes.io/hostname": NODE}:
            raise ValueError(f"expected a pod for the node {NODE}, found {pod['spec']['nodeSelector']}")
        with self._changed:
            name = pod["metadata"]["name"]
            if name in self._pods:
                raise ValueError(f'pods "{name}" already exists')
            pod["metadata"].update(uid=str(uuid.uuid4()), namespace="default", creationTimestamp="2026-01-01T00:00:00Z")
            pod["status"] = {"phase": "Pending", "conditions": []}
            self._pods[name] = pod
            self._tell("ADDED", pod)
            self._schedule()
            return pod

    def delete(self, name: str) -> Object:
        """End a pod, and give what it had to the next."""
        with self._changed:
            pod = self._pods.pop(name)
            if name in self._containers:
                self._containers.pop(name).kill()
            self.deleted.append(name)
            self._tell("DELETED", pod)
            self._schedule()
            return pod

    def pod(self, name: str) -> Object:
        """Raises KeyError where it is not there."""
        with self._changed:
            return self._pods[name]

    def container(self, name: str) -> Container:
        """Raises KeyError where it was not started."""
        with self._changed:
            return self._containers[name]

    def watch(self, kind: str, name: str, since: int, send: Callable[[str, Object], None]) -> None:
        """Call ``send`` for each change of an object, until the cluster is closed or ``send`` fails."""
        place = since
        while True:
            with self._changed:
                while not self._closed and len(self._events) <= place:
                    self._changed.wait()
                if self._closed:
                    return
                event, thing = self._events[place]
            place += 1
            if thing["kind"] == kind and thing["metadata"]["name"] == name:
                send(event, thing)

    @property
    def version(self) -> int:
        """How many changes there have been."""
        with self._changed:
            return len(self._events)

    def _tell(self, event: str, thing: Object) -> None:
        thing["metadata"]["resourceVersion"] = str(len(self._events) + 1)
        self._events.append((event, json.loads(json.dumps(thing))))
        self._changed.notify_all()

    def _asked(self, pod: Object) -> int:
        return int((pod["spec"]["containers"][0].get("resources", {}).get("limits") or {}).get(GPU, 0))

    def _schedule(self) -> None:
        for pod in self._pods.values():
            status = pod["status"]
            if status["phase"] != "Pending" or "nodeName" in pod["spec"]:
                continue
            used = sum(
                self._asked(each)
                for each in self._pods.values()
                if "nodeName" in each["spec"] and each["status"]["phase"] in ("Pending", "Running")
            )
            if used + self._asked(pod) > self.gpus and not self.overcommits:
                message = f"0/1 nodes are available: 1 Insufficient {GPU}."
                new = [_condition("PodScheduled", "False", "Unschedulable", message)]
                if status["conditions"] != new:
                    status["conditions"] = new
                    self._tell("MODIFIED", pod)
                continue
            pod["spec"]["nodeName"] = NODE
            status["conditions"] = [_condition("PodScheduled", "True")]
            self._start(pod)

    def _start(self, pod: Object) -> None:
        (part,) = pod["spec"]["containers"]
        has_gpu = bool(self._asked(pod) and self.gives_gpu) or self.gives_gpu_to_all
        state: Object = {"name": part["name"], "image": part["image"], "imageID": "", "restartCount": 0}
        try:
            container = self._run(part, has_gpu)
        except LookupError as error:
            state.update(ready=False, state={"waiting": {"reason": "ErrImagePull", "message": str(error)}})
            pod["status"]["containerStatuses"] = [state]
            self._tell("MODIFIED", pod)
            return
        self._containers[pod["metadata"]["name"]] = container
        state.update(ready=True, state={"running": {"startedAt": "2026-01-01T00:00:00Z"}})
        pod["status"].update(phase="Running", containerStatuses=[state])
        pod["status"]["conditions"] += [_condition("Ready", "True")]
        self._tell("MODIFIED", pod)
        threading.Thread(target=self._await, args=(pod, container), daemon=True).start()

    def _await(self, pod: Object, container: Container) -> None:
        container.ended.wait()
        with self._changed:
            if self._containers.get(pod["metadata"]["name"]) is not container:
                return
            pod["status"]["phase"] = "Failed" if container.exit_code else "Succeeded"
            pod["status"]["conditions"][-1] = _condition("Ready", "False", "PodCompleted")
            (state,) = pod["status"]["containerStatuses"]
            state["state"] = {"terminated": {"exitCode": container.exit_code, "reason": "Completed"}}
            self._tell("MODIFIED", pod)
            self._schedule()


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _list(kind: str, items: list[Object], version: int = 1) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"resourceVersion": str(version)}, "items": items}


_RESOURCES = {
    "kind": "APIResourceList",
    "groupVersion": "v1",
    "resources": [
        {"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": verbs}
        for name, namespaced, kind, verbs in (
            ("nodes", False, "Node", ["get", "list", "watch"]),
            ("pods", True, "Pod", ["create", "delete", "get", "list", "watch"]),
        )
    ],
}


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def answer(self, body: Object | bytes, code: int = 200) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(code)
            # An empty description of the interface: kubectl leaves checking to the server, which is strict.
            self.send_header("Content-Type", f"application/{'octet-stream' if isinstance(body, bytes) else 'json'}")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def refuse(self, code: int, reason: str, message: str) -> None:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
            self.answer({**status, "reason": reason, "message": message}, code)

        def do_GET(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            fixed: dict[str, Object | bytes] = {
                "/api": {"kind": "APIVersions", "versions": ["v1"]},
                "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
                "/api/v1": _RESOURCES,
                "/openapi/v2": b"",
                "/api/v1/pods": _list("PodList", []),
                "/api/v1/nodes/" + NODE: cluster.node(),
            }
            if url.path in fixed:
                self.answer(fixed[url.path])
            elif url.path.endswith("/events"):
                self.answer(_list("EventList", []))
            elif url.path == "/api/v1/nodes":
                self.collection("Node", [cluster.node()], query)
            elif url.path == _PODS:
                self.collection("Pod", [cluster.pod(name) for name in cluster.pods], query)
            elif url.path.startswith(f"{_PODS}/"):
                self.pod(url.path[len(_PODS) + 1 :], query)
            else:
                self.refuse(404, "NotFound", f"the stand-in knows no {self.path}")

        def collection(self, kind: str, items: list[Object], query: dict[str, str]) -> None:
            name = query.get("fieldSelector", "").removeprefix("metadata.name=")
            if "watch" in query:
                self.stream()
                with contextlib.suppress(OSError):  # nobody watches any more
                    cluster.watch(kind, name, int(query["resourceVersion"]), self.event)
                self.close_connection = True
                return
            found = [each for each in items if not name or each["metadata"]["name"] == name]
            self.answer(_list(f"{kind}List", found, cluster.version))

        def event(self, event: str, thing: Object) -> None:
            self.chunk(json.dumps({"type": event, "object": thing}).encode() + b"\n")

        def stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()

        def chunk(self, data: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()

        def pod(self, rest: str, query: dict[str, str]) -> None:
            name, _, part = rest.partition("/")
            try:
                if part == "":
                    self.answer(cluster.pod(name))
                elif part == "log":
                    self.log(cluster.container(name), query)
                else:
                    self.refuse(404, "NotFound", f"the stand-in knows no {part} of a pod")
            except KeyError:
                self.refuse(404, "NotFound", f'pods "{name}" not found')

        def log(self, container: Container, query: dict[str, str]) -> None:
            self.stream()
            if query.get("follow") == "true":
                container.ended.wait()
            if container.output:
                self.chunk(container.output.encode())
            self.chunk(b"")

        def do_POST(self) -> None:
            pod = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if urllib.parse.urlsplit(self.path).path != _PODS:
                self.refuse(404, "NotFound", f"the stand-in makes no {self.path}")
                return
            try:
                self.answer(cluster.create(pod), 201)
            except (KeyError, ValueError) as error:
                self.refuse(422, "Invalid", str(error))

        def do_DELETE(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            name = urllib.parse.urlsplit(self.path).path.removeprefix(f"{_PODS}/")
            try:
                self.answer(cluster.delete(name))
            except KeyError:
                self.refuse(404, "NotFound", f'pods "{name}" not found')

    return Handler
