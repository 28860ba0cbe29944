# SPDX-License-Identifier: MIT
# mypy: disable-error-code="import-not-found,misc,untyped-decorator"
"""A node built with this layer: its services, its GPU as Kubernetes sees it, and pods on it.

Run by `bitbake -c testimage` with TEST_SUITES = "nvidia_k8s", or by scripts/test-board against a board's address.
"""

from __future__ import annotations

from nvidia_k8s_board import GPU, PLUGIN, BoardTest
from nvidia_k8s_pods import PodTest
from oeqa.core.decorator.depends import OETestDepends
from oeqa.runtime.decorator.package import OEHasPackage

_REGISTERED = f"Registered device plugin for '{GPU}' with Kubelet"


class NvidiaK8sServices(BoardTest):
    """On a server and on an agent."""

    @OEHasPackage(["nvidia-device-plugin"])
    def test_services_run(self) -> None:
        self.execute("systemctl is-system-running --wait")
        for unit in ("docker.service", "containerd.service", self.unit, PLUGIN):
            state = self.execute(f"systemctl is-active {unit}")[1]
            if state != "active":
                self.fail(f"expected {unit} to be active, it is {state}{self.journal(unit)}")

    @OETestDepends(["nvidia_k8s.NvidiaK8sServices.test_services_run"])
    def test_runtime_is_prepared(self) -> None:
        unit = "nvidia-container-setup.service"
        found = sorted(self.ask(f"systemctl show -p LoadState -p Result {unit}").split())
        # Only a PC's runtime needs it: on a Jetson, the runtime's configuration is a file of the image.
        expected = {"Result=success"} | ({"LoadState=loaded"} if self.gpu == "nvml" else set())
        if not expected <= set(found):
            self.fail(f"expected {unit} to have prepared NVIDIA's runtime, found {found}{self.journal(unit)}")

    @OETestDepends(["nvidia_k8s.NvidiaK8sServices.test_services_run"])
    def test_no_unit_has_failed(self) -> None:
        failed = [line.split()[0] for line in self.ask("systemctl --failed --plain --no-legend").splitlines()]
        if failed:
            self.fail(f"expected no failed unit, found {', '.join(failed)}{self.journal(*failed)}")

    @OETestDepends(["nvidia_k8s.NvidiaK8sServices.test_services_run"])
    def test_kubelet_knows_the_gpu(self) -> None:
        self.kubelet_knows_the_gpu()


class NvidiaK8sNode(PodTest):
    """A server's node as Kubernetes sees it."""

    @OETestDepends(["nvidia_k8s.NvidiaK8sServices.test_kubelet_knows_the_gpu"])
    def test_node_is_ready(self) -> None:
        name = self.node()["metadata"]["name"]
        wait = f"kubectl wait --for=condition=Ready --timeout={self.seconds:.0f}s node/{name}"
        status, output = self.execute(wait)
        if status:
            self.fail(f"expected node {name} to become Ready: {output}{self.describe(f'node/{name}')}")

    @OETestDepends(["nvidia_k8s.NvidiaK8sNode.test_node_is_ready"])
    def test_gpu_is_advertised(self) -> None:
        complaint = self.until(lambda: "" if self.allocatable() else f"expected {GPU}: 1 or more to be allocatable")
        if complaint:
            self.fail(f"{complaint}, found 0{self.describe('node/' + self.node()['metadata']['name'])}")


class NvidiaK8sPods(PodTest):
    """Pods on a server's node."""

    @OETestDepends(["nvidia_k8s.NvidiaK8sNode.test_gpu_is_advertised"])
    def test_pod_gets_the_gpu(self) -> None:
        self.gets_the_gpu("gpu")

    @OETestDepends(["nvidia_k8s.NvidiaK8sPods.test_pod_gets_the_gpu"])
    def test_pod_that_does_not_ask_gets_none(self) -> None:
        self.gets_none("no-gpu")

    @OETestDepends(["nvidia_k8s.NvidiaK8sPods.test_pod_gets_the_gpu"])
    def test_pod_cannot_take_the_gpu(self) -> None:
        if self.setting("WR_NVIDIA_K8S_SECURE") != "1":
            self.skipTest("secure mode: WR_NVIDIA_K8S_SECURE is not 1")
        self.gets_none("taker", NVIDIA_VISIBLE_DEVICES="all")

    @OETestDepends(["nvidia_k8s.NvidiaK8sPods.test_pod_gets_the_gpu"])
    def test_device_query(self) -> None:
        printed = self.result(self.pod("device-query", self.device_query_image(), gpus=1))
        self.assertIn("Result = PASS", printed, "expected deviceQuery to pass")

    @OETestDepends(["nvidia_k8s.NvidiaK8sPods.test_pod_gets_the_gpu"])
    def test_pods_take_turns(self) -> None:
        every = self.allocatable()
        first = self.holder("first", every)
        self.runs(first)
        second = self.holder("second", every)
        if self.wait(second, "PodScheduled=false", "PodScheduled") != "PodScheduled=false":
            about = self.describe(f"pod/{first}", f"pod/{second}")
            self.fail(f"expected pod {second} to wait for the GPU, which {first} has; it does not{about}")
        if f"Insufficient {GPU}" not in (reason := self.unscheduled(second)):
            self.fail(f"expected pod {second} to wait because of {GPU}, it waits because of: {reason}")
        self.delete(first)
        self.runs(second)


class NvidiaK8sRestart(BoardTest):
    """After k3s restarts, the plugin registers again, on a server and on an agent."""

    @OETestDepends(["nvidia_k8s.NvidiaK8sServices.test_kubelet_knows_the_gpu"])
    def test_plugin_survives(self) -> None:
        process = f"systemctl show -p MainPID -p NRestarts {PLUGIN}"
        before = self.ask(process)
        cursor = self.ask(f"journalctl --no-pager -n 1 --show-cursor -u {PLUGIN}").rpartition("-- cursor: ")[2]
        self.ask(f"systemctl restart {self.unit}")

        def check() -> str:
            said = self.ask(f"journalctl --no-pager -o cat --after-cursor='{cursor}' -u {PLUGIN}")
            return "" if _REGISTERED in said.splitlines() else f"expected {PLUGIN} to register again"

        if complaint := self.until(check):
            self.fail(f"{complaint}, it did not{self.journal(PLUGIN, self.unit)}")
        if (after := self.ask(process)) != before:
            self.fail(f"expected {PLUGIN} to run on\nbefore: {before}\nafter: {after}{self.journal(PLUGIN)}")
        self.kubelet_knows_the_gpu()


class NvidiaK8sRestarted(PodTest):
    """The server's node after that."""

    @OETestDepends(
        ["nvidia_k8s.NvidiaK8sRestart.test_plugin_survives", "nvidia_k8s.NvidiaK8sPods.test_pod_gets_the_gpu"]
    )
    def test_pod_gets_the_gpu(self) -> None:
        self.gets_the_gpu("restarted")
