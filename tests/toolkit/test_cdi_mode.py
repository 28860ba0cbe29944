# SPDX-License-Identifier: MIT
"""What a container gets on a PC with cards: the toolkit as built, with the configuration of the image."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit.machine import VISIBLE, Machine, asks_by_mount

Pc = Callable[..., Machine]
UUID = "GPU-8d3f1e52-2b1c-4b7a-9d9b-0c5e6a7f8b90"
LIBCUDA = "/usr/lib/libcuda.so.600.1.2"


@pytest.fixture
def pc(programs: Path, tmp_path: Path) -> Pc:
    """A PC with one card, and its CDI specification as nvidia-container-setup.service names the devices."""

    def make(*, secure: bool = False) -> Machine:
        machine = Machine(tmp_path / "machine").install(programs, "cdi", secure=secure)
        nodes = [{"path": "/dev/nvidia0"}]
        common = [{"path": "/dev/nvidiactl"}, {"path": "/dev/nvidia-uvm"}]
        mount = {"hostPath": LIBCUDA, "containerPath": LIBCUDA, "options": ["ro", "nosuid", "nodev", "bind"]}
        names = ("0", UUID, "all")
        specification = {
            "cdiVersion": "0.5.0", "kind": "nvidia.com/gpu",
            "devices": [{"name": name, "containerEdits": {"deviceNodes": nodes}} for name in names],
            "containerEdits": {"deviceNodes": common, "mounts": [mount]},
        }  # fmt: skip
        machine.write("run/cdi/nvidia.yaml", json.dumps(specification))
        for node in nodes + common:
            machine.write(node["path"])
        return machine

    return make


def got_the_card(machine: Machine, **asked: Any) -> bool:
    created = machine.create(**asked)
    if not created.changed:
        return False
    assert created.devices == {"/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm"}
    assert created.mounts[LIBCUDA] == LIBCUDA
    return True


@pytest.mark.parametrize("name", [UUID, "0", "all", f"nvidia.com/gpu={UUID}"])
def test_a_container_that_asks_by_variable_gets_the_card(pc: Pc, name: str) -> None:
    assert got_the_card(pc(), environment={VISIBLE: name})


@pytest.mark.parametrize("name", [f"{UUID},{UUID}", f"0,all,0,{UUID}"])
def test_a_device_that_is_named_twice_is_given_once(pc: Pc, name: str) -> None:
    assert got_the_card(pc(), environment={VISIBLE: name})


@pytest.mark.parametrize("environment", [{}, {VISIBLE: ""}, {VISIBLE: "void"}, {VISIBLE: "none"}])
def test_a_container_that_does_not_ask_gets_nothing(pc: Pc, environment: dict[str, str]) -> None:
    assert not got_the_card(pc(), environment=environment)


def test_a_card_that_is_not_there_is_named(pc: Pc) -> None:
    machine = pc()
    with pytest.raises(AssertionError):
        machine.create({VISIBLE: "GPU-none"})
    assert "unresolvable CDI devices nvidia.com/gpu=GPU-none" in machine.said


@pytest.mark.parametrize("name", [UUID, "0"])
def test_secure_what_the_device_plugin_mounts_is_given(pc: Pc, name: str) -> None:
    assert got_the_card(pc(secure=True), mounts=[asks_by_mount(name)])


SELF_SERVED: list[dict[str, Any]] = [
    {"environment": {VISIBLE: "all"}},
    {"environment": {VISIBLE: f"nvidia.com/gpu={UUID}"}},
    {"environment": {"CUDA_VERSION": "10.2"}},
    {"annotations": {"cdi.k8s.io/mine": "nvidia.com/gpu=all"}},
]


@pytest.mark.parametrize("asked", SELF_SERVED)
def test_secure_a_container_cannot_serve_itself(pc: Pc, asked: dict[str, Any]) -> None:
    assert not got_the_card(pc(secure=True), **asked)


def test_secure_a_privileged_container_may_ask_by_itself(pc: Pc) -> None:
    assert got_the_card(pc(secure=True), environment={VISIBLE: "all"}, privileged=True)


def test_not_secure_mounts_and_annotations_ask_for_nothing(pc: Pc) -> None:
    assert not got_the_card(pc(), mounts=[asks_by_mount(UUID)], annotations={"cdi.k8s.io/a": "nvidia.com/gpu=all"})
