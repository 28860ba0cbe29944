# SPDX-License-Identifier: MIT
"""What a container gets on a Jetson: the toolkit as built, with the configuration of the image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit.machine import VISIBLE, Machine, asks_by_mount
from wr_nvidia_k8s.lab.jetson import BOARDS

Jetson = Callable[..., Machine]
LISTS = "/etc/nvidia-container-runtime/host-files-for-container.d"
PASSTHROUGH = "/usr/share/nvidia-container-passthrough"
LIBCUDA = "/usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1.1"


@pytest.mark.parametrize("board", sorted(BOARDS))
def test_a_container_that_asks_gets_the_nodes_and_libraries_of_the_boards_lists(jetson: Jetson, board: str) -> None:
    created = jetson(board).create({VISIBLE: "0"})
    assert created.devices == set(BOARDS[board].nodes)
    assert created.mounts[LIBCUDA] == LIBCUDA
    assert "/etc/nv_tegra_release" in created.mounts


def test_links_of_the_lists_lead_somewhere_in_the_container(jetson: Jetson) -> None:
    machine = jetson()
    machine.link("/usr/lib/libcuda.so.1", "aarch64-linux-gnu/tegra/libcuda.so.1.1")
    machine.write(f"{LISTS}/drivers.csv", "sym, /usr/lib/libcuda.so.1\n")
    created = machine.create({VISIBLE: "all"})
    root = machine.run_hooks(created)
    assert (root / "usr/lib/libcuda.so.1").resolve() == root / LIBCUDA.lstrip("/")


@pytest.mark.parametrize("environment", [{}, {VISIBLE: ""}, {VISIBLE: "void"}, {VISIBLE: "none"}])
def test_a_container_that_does_not_ask_gets_nothing(jetson: Jetson, environment: dict[str, str]) -> None:
    assert not jetson().create(environment).changed


def test_a_device_that_is_named_twice_is_given_once(jetson: Jetson) -> None:
    assert jetson().create({VISIBLE: "0,0"}).devices == set(BOARDS["jetson-orin-nano"].nodes)


def test_hooks_are_the_machines_own_and_leave_the_containers_cuda_alone(jetson: Jetson) -> None:
    """A Jetson tells no driver's version: toolkits before 1.17.9 prefer the container's libcuda to the board's."""
    hooks = jetson().create({VISIBLE: "0"}).hooks
    assert {hook["path"] for hook in hooks} == {"/usr/bin/nvidia-cdi-hook"}
    assert {hook["args"][1] for hook in hooks} == {"create-symlinks", "update-ldcache"}


def passthrough(machine: Machine) -> None:
    """Files as tegra-container-passthrough installs them, and lists that name them."""
    folder = "/usr/lib/aarch64-linux-gnu"
    machine.write(f"{PASSTHROUGH}{folder}/nvidia/libnvv4l2.so", "for containers")
    machine.link(f"{PASSTHROUGH}{folder}/nvidia/libv4l2.so.0", "libnvv4l2.so")
    machine.link(f"{PASSTHROUGH}{folder}/libv4l2.so.0.0.999999", "nvidia/libv4l2.so.0")
    machine.link(f"{PASSTHROUGH}{folder}/libv4l2.so.0", f"{folder}/libv4l2.so.0.0.999999")
    machine.write(f"{PASSTHROUGH}{folder}/gstreamer-1.0/libgstalsa.so")
    # On the machine, there is another one, which is not for containers.
    machine.write(f"{folder}/nvidia/libnvv4l2.so", "for the machine")
    machine.write(
        f"{LISTS}/drivers.csv",
        f"lib, {folder}/nvidia/libnvv4l2.so\n"
        f"sym, {folder}/libv4l2.so.0\n"
        f"dir, {folder}/gstreamer-1.0\n"
        f"lib, {LIBCUDA}\n"
        f"lib, {folder}/nowhere.so\n",
    )


def test_files_for_containers_only_appear_without_the_path_of_their_tree(jetson: Jetson) -> None:
    machine = jetson()
    passthrough(machine)
    created = machine.create({VISIBLE: "0"})
    folder = "/usr/lib/aarch64-linux-gnu"
    assert created.mounts[f"{folder}/nvidia/libnvv4l2.so"] == f"{PASSTHROUGH}{folder}/nvidia/libnvv4l2.so"
    assert created.mounts[f"{folder}/gstreamer-1.0"] == f"{PASSTHROUGH}{folder}/gstreamer-1.0"
    assert created.mounts[LIBCUDA] == LIBCUDA, "expected what the tree does not have to come from the machine"
    assert not [place for place in {*created.mounts, *created.links} if place.startswith(PASSTHROUGH)]
    root = machine.run_hooks(created)
    assert created.links[f"{folder}/libv4l2.so.0.0.999999"] == "nvidia/libv4l2.so.0"
    assert Path(root / folder.lstrip("/") / "libv4l2.so.0").is_symlink()
    caches = [hook["args"] for hook in created.hooks if "update-ldcache" in hook["args"]]
    assert f"{folder}/nvidia" in caches[0], "expected the container's ldconfig to look there"


def test_a_link_of_the_tree_is_followed_in_the_tree(jetson: Jetson) -> None:
    """As in the container, where an absolute link does not lead to the machine's file of that name."""
    machine = jetson()
    machine.write(f"{PASSTHROUGH}/opt/new/lib.so", "for containers")
    machine.write("/opt/new/lib.so", "for the machine")
    machine.link(f"{PASSTHROUGH}/opt/lib.so", "/opt/new/lib.so")
    machine.write(f"{LISTS}/drivers.csv", "sym, /opt/lib.so\n")
    created = machine.create({VISIBLE: "0"})
    assert created.links["/opt/lib.so"] == "/opt/new/lib.so"
    assert created.mounts["/opt/new/lib.so"] == f"{PASSTHROUGH}/opt/new/lib.so"


def test_without_that_tree_everything_comes_from_the_machine(jetson: Jetson) -> None:
    assert jetson().create({VISIBLE: "0"}).mounts[LIBCUDA] == LIBCUDA


SELF_SERVED: list[dict[str, Any]] = [
    {"environment": {VISIBLE: "all"}},
    {"environment": {VISIBLE: "0", "NVIDIA_GDS": "enabled"}},
    # CUDA images of old count as if they set the variable.
    {"environment": {"CUDA_VERSION": "10.2"}},
    {"annotations": {"cdi.k8s.io/mine": "nvidia.com/gpu=all"}},
]


@pytest.mark.parametrize("asked", SELF_SERVED)
def test_secure_a_container_cannot_serve_itself(jetson: Jetson, asked: dict[str, Any]) -> None:
    assert not jetson(secure=True).create(**asked).changed


def test_secure_what_the_device_plugin_mounts_is_given(jetson: Jetson) -> None:
    created = jetson(secure=True).create({VISIBLE: "void"}, [asks_by_mount("0")])
    assert created.devices == set(BOARDS["jetson-orin-nano"].nodes)
    assert LIBCUDA in created.mounts


def test_secure_a_privileged_container_may_ask_by_itself(jetson: Jetson) -> None:
    assert jetson(secure=True).create({VISIBLE: "all"}, privileged=True).devices


def test_not_secure_mounts_ask_for_nothing(jetson: Jetson) -> None:
    created = jetson().create({}, [asks_by_mount("0")])
    assert not created.changed
