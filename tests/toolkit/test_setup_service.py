# SPDX-License-Identifier: MIT
"""nvidia-container-setup.service: a PC's cards are described for containers before anything starts one."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from toolkit.machine import VISIBLE, Machine, asks_by_mount, setting
from wr_nvidia_k8s.common.paths import TOP

UNIT = "nvidia-container-setup.service"
VERSION = "580.95.05"
UUID = "GPU-1fef8089-4820-abfc-e83e-94318197576e"


def value(name: str) -> list[str]:
    """The values of a key of the unit, each with its lines joined."""
    joined = setting(UNIT).replace("\\\n", " ")
    return re.findall(rf"(?m)^{name}=(.*)$", joined)


@pytest.fixture
def pc(programs: Path, tmp_path: Path) -> Machine:
    """A PC with the driver's libraries where the image has them, and no cache of the dynamic loader."""
    machine = Machine(tmp_path / "machine").install(programs, "cdi", secure=True)
    library = machine.root / "usr" / "lib" / f"libnvidia-ml.so.{VERSION}"
    library.parent.mkdir(parents=True, exist_ok=True)
    compiler = ["gcc", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1", "-o", str(library)]
    subprocess.run([*compiler, str(TOP / "tests/plugin/nvml_standin.c")], check=True)
    machine.write(f"usr/lib/libcuda.so.{VERSION}")
    for name in ("libnvidia-ml", "libcuda"):
        machine.link(f"usr/lib/{name}.so.1", f"{name}.so.{VERSION}")
    for node in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"):
        machine.write(f"dev/{node}")
    return machine


def test_each_card_can_be_named_by_uuid_and_by_index(pc: Machine) -> None:
    (generate,) = [command for command in value("ExecStart") if "nvidia-ctk" in command]
    assert pc.run(*shlex.split(generate)) == 0, pc.said
    for name in (UUID, "1"):
        created = pc.create({}, [asks_by_mount(name)])
        assert created.devices == {"/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"}
        assert {f"/usr/lib/{library}.so.{VERSION}" for library in ("libcuda", "libnvidia-ml")} <= set(created.mounts)
        assert {hook["path"] for hook in created.hooks} == {"/usr/bin/nvidia-cdi-hook"}
    assert "/dev/nvidia0" in pc.create({VISIBLE: "all"}, privileged=True).devices
    assert list((pc.root / "run/cdi").iterdir()) == [pc.root / "run/cdi/nvidia.yaml"], "expected nothing half-written"


def bus(tmp_path: Path, *modaliases: str) -> list[str]:
    """The unit's condition, on a machine whose PCI bus has these."""
    for number, modalias in enumerate(modaliases):
        device = tmp_path / "devices" / f"0000:00:{number:02x}.0"
        device.mkdir(parents=True)
        (device / "modalias").write_text(modalias + "\n")
    (condition,) = value("ExecCondition")
    return shlex.split(condition.replace("/sys/bus/pci", str(tmp_path)))


CARD = "pci:v000010DEd00002684sv00001043sd000088E2bc03sc00i00"
NOT_A_CARD = ["pci:v000010DEd000022BAsv00001043sd000088E2bc04sc03i00", "pci:v00008086d00004680sv0sd0bc03sc00i00"]


def test_with_a_card_it_runs(tmp_path: Path) -> None:
    assert subprocess.run(bus(tmp_path, *NOT_A_CARD, CARD), check=False).returncode == 0


@pytest.mark.parametrize("others", [[], NOT_A_CARD])
def test_without_a_card_it_says_so_and_has_not_failed(tmp_path: Path, others: list[str]) -> None:
    done = subprocess.run(bus(tmp_path, *others), capture_output=True, text=True, check=False)
    # systemd.service(5), ExecCondition=: from 1 to 254 the unit is skipped, and not failed.
    assert done.returncode == 1
    assert "No NVIDIA card" in done.stdout


def test_nothing_that_starts_containers_starts_before_it() -> None:
    starters = {"docker.service", "containerd.service", "k3s.service", "k3s-agent.service"}
    assert starters <= set(value("Before")[0].split())


def test_systemd_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze: apt-get install systemd")
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for program in ("usr/bin/nvidia-ctk", "usr/bin/nvidia-modprobe", "bin/sh"):
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / program).touch(mode=0o755)
    (units / UNIT).write_text(setting(UNIT))
    for name in ("sysinit.target", "basic.target", "shutdown.target"):
        (units / name).write_text("[Unit]\nDescription=stand-in\n")
    command = ["systemd-analyze", "verify", "--man=no", f"--root={tmp_path}", UNIT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if UNIT in line], done.stderr


@pytest.mark.parametrize("mode", ["csv", "cdi"])
@pytest.mark.parametrize("secure", [False, True])
def test_configuration_is_accepted_by_the_toolkit(programs: Path, tmp_path: Path, mode: str, secure: bool) -> None:
    file = tmp_path / "config.toml"
    file.write_text(setting(f"{mode}.toml", secure))
    command = [str(programs / "nvidia-ctk"), "config", "--config-file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f'mode = "{mode}"' in done.stdout
