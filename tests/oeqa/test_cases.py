# SPDX-License-Identifier: MIT
"""The image tests find a healthy board healthy, and name what is wrong with one that is not.

Real: OE-core's oeqa of both releases, ssh and sshd, the shell, kubectl 1.20, the image made on the board and what runs
in its containers. The cluster and the service manager are stood in for (board.py).
"""

from __future__ import annotations

from oeqa.board import NODES, REGISTERED
from oeqa.conftest import Run, on

SERVICES = {f"NvidiaK8sServices.{name}" for name in (
    "test_kubelet_knows_the_gpu", "test_no_unit_has_failed", "test_runtime_is_prepared", "test_services_run",
)}  # fmt: skip
NODE = {"NvidiaK8sNode.test_gpu_is_advertised", "NvidiaK8sNode.test_node_is_ready"}
PODS = {f"NvidiaK8sPods.{name}" for name in (
    "test_device_query", "test_pod_cannot_take_the_gpu", "test_pod_gets_the_gpu",
    "test_pod_that_does_not_ask_gets_none", "test_pods_take_turns",
)}  # fmt: skip
RESTART = {"NvidiaK8sRestart.test_plugin_survives"}
RESTARTED = {"NvidiaK8sRestarted.test_pod_gets_the_gpu"}
EVERY = SERVICES | NODE | PODS | RESTART | RESTARTED


def expect_failures(run: Run, *failed: str) -> None:
    assert run.exit_status == 1
    assert run.named("FAILED") | run.named("ERROR") == set(failed)


@on("well")
def test_healthy_board_passes(run: Run) -> None:
    assert run.exit_status == 0, run.output
    assert run.named("PASSED") == EVERY
    # In the order in which they build on each other, and none is left.
    assert [name.split("-")[2] for name in run.board.cluster.deleted] == [
        "gpu", "device", "taker", "no", "first", "second", "restarted",
    ]  # fmt: skip
    assert run.board.cluster.pods == []
    assert not run.board.has_image


@on("well, LTS22's OE-core")
def test_the_other_releases_oeqa(run: Run) -> None:
    assert run.exit_status == 0, run.output
    skipped = {"NvidiaK8sPods.test_device_query", "NvidiaK8sPods.test_pod_cannot_take_the_gpu"}
    assert run.named("PASSED") == EVERY - skipped
    assert run.named("SKIPPED") == skipped
    assert "WR_NVIDIA_K8S_TEST_IMAGE names no container image" in run.said("NvidiaK8sPods.test_device_query")


@on("simulated")
def test_simulated_gpu_runs_no_cuda(run: Run) -> None:
    assert run.exit_status == 0, run.output
    assert run.named("SKIPPED") == {"NvidiaK8sPods.test_device_query", "NvidiaK8sPods.test_pod_cannot_take_the_gpu"}
    assert "the GPU of this machine is simulated" in run.said("NvidiaK8sPods.test_device_query")


@on("agent")
def test_agent_has_no_cluster_to_ask(run: Run) -> None:
    assert run.exit_status == 0, run.output
    assert run.named("PASSED") == SERVICES | RESTART
    assert run.named("SKIPPED") == NODE | PODS | RESTARTED
    assert "this node is an agent" in run.said("NvidiaK8sNode.test_node_is_ready")


@on("docker is down")
def test_service_that_is_down(run: Run) -> None:
    expect_failures(run, "NvidiaK8sServices.test_services_run")
    said = run.said("NvidiaK8sServices.test_services_run")
    assert "expected docker.service to be active, it is failed" in said
    assert "no such runtime nvidia" in said, "expected the service's journal"
    assert run.named("PASSED") == set()


@on("services")
def test_services_that_are_not_well(run: Run) -> None:
    expect_failures(run, *(SERVICES - {"NvidiaK8sServices.test_services_run"}))
    assert "found nvidia-persistenced.service" in run.said("NvidiaK8sServices.test_no_unit_has_failed")
    assert "Result=exit-code" in run.said("NvidiaK8sServices.test_runtime_is_prepared")
    said = run.said("NvidiaK8sServices.test_kubelet_knows_the_gpu")
    assert "expected devices of nvidia.com/gpu in the kubelet's" in said
    assert REGISTERED in said, "expected the plugin's journal"


@on("node")
def test_node_that_is_not_ready(run: Run) -> None:
    expect_failures(run, "NvidiaK8sNode.test_node_is_ready")
    said = run.said("NvidiaK8sNode.test_node_is_ready")
    assert "expected node board to become Ready" in said
    assert "KubeletNotReady" in said, "expected kubectl describe node"


@on("advertised")
def test_gpu_that_is_not_advertised(run: Run) -> None:
    """And a PC's image without the unit that prepares the runtime."""
    expect_failures(run, "NvidiaK8sNode.test_gpu_is_advertised", "NvidiaK8sServices.test_runtime_is_prepared")
    assert "LoadState=not-found" in run.said("NvidiaK8sServices.test_runtime_is_prepared")
    assert "expected nvidia.com/gpu: 1 or more to be allocatable, found 0" in run.said(
        "NvidiaK8sNode.test_gpu_is_advertised"
    )


@on("injected")
def test_gpu_that_is_not_in_the_container(run: Run) -> None:
    expect_failures(run, "NvidiaK8sPods.test_pod_gets_the_gpu")
    said = run.said("NvidiaK8sPods.test_pod_gets_the_gpu")
    assert f"expected {', '.join(NODES)} in the container of nvidia-k8s-gpu-" in said
    assert "kubectl describe pod/nvidia-k8s-gpu-" in said
    assert run.board.cluster.pods == [], "expected the pod to be deleted all the same"


@on("kept")
def test_gpu_that_is_shared_out(run: Run) -> None:
    """A scheduler that does not count, a runtime that gives it to all, a driver too old, a plugin that dies."""
    others = {"NvidiaK8sPods.test_pod_gets_the_gpu", "NvidiaK8sPods.test_pod_cannot_take_the_gpu"}
    expect_failures(run, *(PODS - others), *RESTART)
    turns = run.said("NvidiaK8sPods.test_pods_take_turns")
    assert "to wait for the GPU, which nvidia-k8s-first-" in turns
    assert "kubectl describe pod/nvidia-k8s-second-" in turns
    query = run.said("NvidiaK8sPods.test_device_query")
    assert "to succeed, it is Failed" in query
    assert "cudaGetDeviceCount returned 35" in query
    nobody = run.said("NvidiaK8sPods.test_pod_that_does_not_ask_gets_none")
    assert f"found ['node: {NODES[0]}'" in nobody
    assert "expected nvidia-device-plugin.service to run on" in run.said("NvidiaK8sRestart.test_plugin_survives")
    assert run.board.cluster.pods == []


@on("environment")
def test_secure_mode_that_is_not(run: Run) -> None:
    expect_failures(run, "NvidiaK8sPods.test_pod_cannot_take_the_gpu")
    assert "expected no GPU in the container of nvidia-k8s-taker-" in run.said(
        "NvidiaK8sPods.test_pod_cannot_take_the_gpu"
    )


@on("restart")
def test_plugin_that_does_not_come_back(run: Run) -> None:
    """And an image that no registry has."""
    expect_failures(run, "NvidiaK8sPods.test_device_query", *RESTART)
    said = run.said("NvidiaK8sRestart.test_plugin_survives")
    assert "expected nvidia-device-plugin.service to register again, it did not" in said
    assert "waiting for a kubelet" in said, "expected the plugin's journal"
    query = run.said("NvidiaK8sPods.test_device_query")
    assert "expected Ready of pod nvidia-k8s-device-query-" in query
    assert "ErrImagePull" in query, "expected kubectl describe pod"
