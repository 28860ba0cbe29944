# SPDX-License-Identifier: MIT
"""The service's unit and configuration, as systemd and the program themselves judge them."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nvidia_device_plugin import config

TOP = Path(__file__).resolve().parents[2]
FILES = TOP / "recipes-containers" / "nvidia-device-plugin" / "files"
UNIT = FILES / "nvidia-device-plugin.service"

# systemd 252's score of the unit as it is. It may fall, by a better sandbox, and is then lowered here.
HIGHEST_EXPOSURE = 1.1


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root folder with the unit installed and what it starts in place."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze: apt-get install systemd")
    for program in ("usr/bin/nvidia-device-plugin", "bin/sh"):
        path = tmp_path / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    shutil.copy(UNIT, units)
    for name in ("sysinit.target", "basic.target", "shutdown.target", "multi-user.target", "network.target",
                 "k3s.service", "-.mount", "tmp.mount", "var.mount"):
        text = "[Unit]\nDescription=stand-in\n"
        if name.endswith(".service"):
            text += "[Service]\nExecStart=/bin/sh\n"
        if name.endswith(".mount"):
            text += f"[Mount]\nWhat=tmpfs\nWhere=/{name.removesuffix('.mount').strip('-')}\n"
        (units / name).write_text(text)
    return tmp_path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)


def test_systemd_finds_nothing_to_complain_about(root: Path) -> None:
    result = analyze("verify", "--man=no", f"--root={root}", "nvidia-device-plugin.service")
    complaints = [line for line in result.stderr.splitlines() if "nvidia-device-plugin" in line]
    assert result.returncode == 0 and not complaints, result.stderr


def test_the_sandbox_only_gets_tighter(root: Path, record_property: Callable[[str, object], None]) -> None:
    result = analyze("security", "--offline=true", f"--root={root}", "--no-pager", "nvidia-device-plugin.service")
    match = re.search(r"Overall exposure level for nvidia-device-plugin.service: ([\d.]+)", result.stdout)
    assert match, result.stdout + result.stderr
    record_property("nvidia-device-plugin.service", f"systemd-analyze security: {match[1]}")
    assert float(match[1]) <= HIGHEST_EXPOSURE, result.stdout


def test_the_shipped_configuration_is_the_programs_defaults() -> None:
    """But for one: no one but systemd would start it again, and no pause between two starts heals by itself."""
    expected = config.load({"fail-on-init-error": "false"}, {})
    assert config.load({"config-file": str(FILES / "config.yaml")}, {}) == expected


def test_a_driver_that_is_loaded_later_may_be_used() -> None:
    """systemd looks a device group's name up in /proc/devices when the unit starts, and takes a number as it is.

    195 is the major number of nvidia0, nvidiactl and nvidia-modeset: open-gpu-kernel-modules, nv-chardev-numbers.h.
    """
    assert re.findall(r"^DeviceAllow=(.*)$", UNIT.read_text(), re.MULTILINE) == ["char-nvidia* rw", "char-195 rw"]


def test_the_image_has_room_for_the_plugins_inotify() -> None:
    (file,) = FILES.glob("*.conf")
    limits = dict(re.findall(r"^(fs\.inotify\.\w+) = (\d+)$", file.read_text(), re.MULTILINE))
    assert {name: int(value) >= least for name, value in limits.items() for least in
            [{"fs.inotify.max_user_instances": 1024, "fs.inotify.max_user_watches": 65536}[name]]} == {
        "fs.inotify.max_user_instances": True, "fs.inotify.max_user_watches": True}
