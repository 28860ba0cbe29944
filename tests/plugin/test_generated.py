# SPDX-License-Identifier: MIT
"""setup.py protoc, which two test runs in one checkout call at once: what it makes can be imported all the time."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wr_nvidia_k8s.common.paths import TOP

NAME = "deviceplugin_v1beta1_pb2.py"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The plugin's source as it is in the repository."""
    without = shutil.ignore_patterns("*_pb2.py*")
    return Path(shutil.copytree(TOP / "plugin-src", tmp_path / "plugin-src", ignore=without))


def generate(source: Path) -> Path:
    subprocess.run([sys.executable, "setup.py", "-q", "protoc"], cwd=source, check=True)
    assert not list((source / "nvidia_device_plugin").glob(".*")), "nothing is left lying about"
    return source / "nvidia_device_plugin" / NAME


def test_what_is_right_is_left_alone_and_what_is_not_is_replaced_as_a_whole(source: Path) -> None:
    made = generate(source)
    content = made.read_bytes()
    with made.open("rb") as reader:
        before = made.stat()
        assert generate(source).stat() == before
        made.write_bytes(content + b"# of another release\n")
        generate(source)
        assert made.read_bytes() == content
        assert reader.read() == content + b"# of another release\n", "who had begun to read goes on with the old one"
