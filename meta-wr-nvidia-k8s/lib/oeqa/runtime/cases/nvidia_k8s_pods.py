# SPDX-License-Identifier: MIT
# mypy: disable-error-code="import-not-found,misc"
"""Pods on the board, made from files/nvidia-k8s-pod.yaml and gone when their case ends.

Two images are run. One is made on the board, of its own shell and C library (`LOCAL_IMAGE`): it needs no network
and shows what is injected into a container. The other is deviceQuery of NVIDIA's CUDA samples, which uses the GPU.
"""

from __future__ import annotations

import json
import string
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nvidia_k8s_board import GPU, PLUGIN, BoardTest

LOCAL_IMAGE = "localhost/nvidia-k8s-image-test:latest"
_MANIFEST = Path(__file__).parents[1] / "files" / "nvidia-k8s-pod.yaml"
# The programs with the libraries that their loader names; a program without one says nothing of use.
_MAKE_IMAGE = r"""
set -e
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/etc" "$root/tmp"
for program in sh sleep; do
    file=$(command -v $program)
    cp -L "$file" "$root/bin/$program"
    for library in $(LD_TRACE_LOADED_OBJECTS=1 "$file" </dev/null 2>/dev/null | grep -o '/[^ ]*' || true); do
        mkdir -p "$root${library%/*}"
        cp -L "$library" "$root$library"
    done
done
tar -C "$root" -c . | docker import - NAME
"""
# What the nodes of the GPU are on this board: those that its CSV files name and that are there, else the driver's.
_NODES = r"""
{
    cat /etc/nvidia-container-runtime/host-files-for-container.d/*.csv 2>/dev/null |
        sed -n 's/^ *dev *, *//p' | grep . || ls -d /dev/nvidiactl /dev/nvidia[0-9]* 2>/dev/null
} | sort -u | while read -r node; do test ! -e "$node" || echo "$node"; done
"""
# Runs in the container, with the nodes as its arguments.
_LOOK = r"""
for node; do if [ -e "$node" ]; then echo "node: $node"; else echo "no node: $node"; fi; done
for library in /usr/lib*/libcuda.so* /usr/lib/*/libcuda.so* /usr/lib/*/*/libcuda.so* /lib*/libcuda.so*; do
    [ ! -e "$library" ] || echo "library: $library"
done
"""
_SLICE = 2.0


class PodTest(BoardTest):
    """A case on a server; an agent has no kubectl, and its pods are its server's."""

    _made_image = False

    def setUp(self) -> None:
        super().setUp()
        if self.is_agent:
            self.skipTest("kubectl: this node is an agent, its cluster is tested on its server")

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        if cls._made_image:
            cls.tc.target.run(f"docker image rm --force {LOCAL_IMAGE}")

    # The node

    def node(self) -> dict[str, Any]:
        """This board's node object."""
        nodes = json.loads(self.ask("kubectl get nodes -o json"))["items"]
        name = self.ask("cat /proc/sys/kernel/hostname").strip().lower()
        ours = nodes if len(nodes) == 1 else [each for each in nodes if each["metadata"]["name"] == name]
        if len(ours) != 1:
            names = [each["metadata"]["name"] for each in nodes]
            self.fail(f"expected a node of this board ({name}) in the cluster, found {names}{self.journal(self.unit)}")
        return dict(ours[0])

    def allocatable(self) -> int:
        """The number of GPUs that the node offers to pods."""
        return int(self.node()["status"].get("allocatable", {}).get(GPU, "0"))

    def describe(self, *what: str) -> str:
        """What kubectl says about these objects, for the message of a failure."""
        said = [f"\nkubectl describe {each}:\n" + self.execute(f"kubectl describe {each}")[1] for each in what]
        return "\n".join(said) + self.journal(self.unit, PLUGIN)

    # Images

    def local_image(self) -> str:
        """Have `LOCAL_IMAGE` on the board while the cases of this class run."""
        if not self._made_image:
            self.ask(_MAKE_IMAGE.replace("NAME", LOCAL_IMAGE))
            type(self)._made_image = True
        return LOCAL_IMAGE

    def device_query_image(self) -> str:
        """The image with deviceQuery; the case is skipped if there is none."""
        if self.gpu == "simulated":
            self.skipTest("deviceQuery: the GPU of this machine is simulated")
        image = self.setting("WR_NVIDIA_K8S_TEST_IMAGE", "")
        if not image:
            self.skipTest("deviceQuery: WR_NVIDIA_K8S_TEST_IMAGE names no container image")
        return image

    def gpu_nodes(self) -> list[str]:
        """The GPU's device nodes on the board."""
        nodes = self.ask(_NODES).split()
        if not nodes:
            self.fail("expected device nodes of a GPU on the board, found none: is the driver loaded?")
        return nodes

    # Pods

    def pod(
        self,
        purpose: str,
        image: str,
        command: Sequence[str] = (),
        *,
        gpus: int = 0,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Create a pod on this board and return its name. It is deleted when the case ends."""
        name = f"nvidia-k8s-{purpose}-{uuid.uuid4().hex[:8]}"
        values = {
            "name": name,
            "node": {"kubernetes.io/hostname": self.node()["metadata"]["labels"]["kubernetes.io/hostname"]},
            "image": image,
            # The other way round, Kubernetes asks a registry each time for what is called latest.
            "pull": "Never" if image == LOCAL_IMAGE else "IfNotPresent",
            "command": list(command),
            "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
            "limits": {GPU: gpus} if gpus else {},
        }
        manifest = string.Template(_MANIFEST.read_text(encoding="utf-8"))
        text = manifest.substitute({key: json.dumps(value) for key, value in values.items()})
        self.addCleanup(self.delete, name)
        self.ask(f"kubectl create -f - <<'END'\n{text}\nEND")
        return name

    def delete(self, name: str) -> None:
        """End a pod, and wait until it has ended."""
        self.ask(f"kubectl delete pod {name} --ignore-not-found --timeout={self.seconds:.0f}s")

    def look(self, nodes: Sequence[str]) -> list[str]:
        """The command that lists the GPU's nodes and libraries in a container."""
        return ["sh", "-c", _LOOK, "look", *nodes]

    def phase(self, name: str) -> str:
        return self.ask(f"kubectl get pod {name} -o jsonpath={{.status.phase}}")

    def unscheduled(self, name: str) -> str:
        """Why the scheduler lets a pod wait."""
        conditions = json.loads(self.ask(f"kubectl get pod {name} -o json"))["status"]["conditions"]
        return "".join(str(each.get("message")) for each in conditions if each["type"] == "PodScheduled")

    def wait(self, name: str, *conditions: str) -> str:
        """Wait for one of several conditions of a pod (as for kubectl wait) or its end; returns which it was."""
        end = time.monotonic() + self.seconds
        while (phase := self.phase(name)) not in ("Succeeded", "Failed"):
            for condition in conditions:
                seconds = max(1.0, min(_SLICE, end - time.monotonic()) / len(conditions))
                wait = f"kubectl wait --for=condition={condition} --timeout={seconds:.0f}s"
                status, output = self.execute(f"{wait} pod/{name}")
                if status == 0:
                    return condition
                if "timed out" not in output:
                    self.fail(f"kubectl wait for {condition} of {name}: {output}{self.describe(f'pod/{name}')}")
            if time.monotonic() > end:
                self.fail(
                    f"expected {' or '.join(conditions)} of pod {name} within {self.seconds:.0f} s, "
                    f"it is {phase}{self.describe(f'pod/{name}')}"
                )
        return phase

    def result(self, name: str) -> str:
        """Wait for a pod to finish and return its output. The case fails if the pod fails."""
        self.wait(name, "Ready")
        printed = self.execute(f"kubectl logs --follow {name}")[1]
        # The container has ended, which the kubelet reports in its own time.
        if self.phase(name) == "Running":
            self.wait(name, "Ready=false")
        phase = self.phase(name)
        if phase != "Succeeded":
            about = self.describe(f"pod/{name}")
            self.fail(f"expected pod {name} to succeed, it is {phase}; it printed:\n{printed}{about}")
        return printed

    def holder(self, purpose: str, gpus: int) -> str:
        """Create a pod that keeps its GPUs until it is deleted; returns its name."""
        return self.pod(purpose, self.local_image(), ["sleep", "86400"], gpus=gpus)

    def runs(self, name: str) -> None:
        """Wait for a pod to run."""
        if (came := self.wait(name, "Ready")) != "Ready":
            self.fail(f"expected pod {name} to run, it {came.lower()}{self.describe(f'pod/{name}')}")

    def gets_the_gpu(self, purpose: str) -> None:
        """A pod that asks for every GPU has all their device nodes, and the driver's library."""
        nodes = self.gpu_nodes()
        name = self.pod(purpose, self.local_image(), self.look(nodes), gpus=self.allocatable())
        found = self.result(name).splitlines()
        missing = [node for node in nodes if f"node: {node}" not in found]
        if missing:
            self.fail(f"expected {', '.join(missing)} in the container of {name}{self.describe(f'pod/{name}')}")
        if not any(line.startswith("library: ") for line in found):
            self.fail(f"expected libcuda.so in the container of {name}{self.describe(f'pod/{name}')}")

    def gets_none(self, purpose: str, **env: str) -> None:
        """A pod that does not ask for a GPU sees none, whatever it sets in its environment."""
        name = self.pod(purpose, self.local_image(), self.look(self.gpu_nodes()), env=env)
        found = [line for line in self.result(name).splitlines() if line.startswith(("node: ", "library: "))]
        if found:
            self.fail(f"expected no GPU in the container of {name}, which does not ask for one; found {found}")
