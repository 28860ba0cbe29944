# SPDX-License-Identifier: MIT
"""scripts/test-board where it cannot begin."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.commands import test_board
from wr_nvidia_k8s.common.paths import TOP


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = TOP / "scripts" / "test-board"
    return subprocess.run([str(script), *arguments], capture_output=True, text=True, check=False)


def test_without_the_trees(tmp_path: Path) -> None:
    done = command("192.0.2.1", "--layers", str(tmp_path))
    assert done.returncode == os.EX_UNAVAILABLE
    assert f"expected oe-core/scripts/oe-test and bitbake/lib/bb in {tmp_path}" in done.stderr
    assert f"KAS_WORK_DIR={tmp_path} kas checkout" in done.stderr


@pytest.mark.parametrize(("address", "host", "port"), [
    ("board.example", "board.example", "22"),
    ("192.0.2.1:2222", "192.0.2.1", "2222"),
    ("2001:db8::1", "2001:db8::1", "22"),
    ("[2001:db8::1]", "2001:db8::1", "22"),
    ("[2001:db8::1]:2222", "2001:db8::1", "2222"),
    ("fe80::1%eth0", "fe80::1%eth0", "22"),
    ("[fe80::1%eth0]:2222", "fe80::1%eth0", "2222"),
])  # fmt: skip
def test_ssh_gets_the_address_that_was_meant(address: str, host: str, port: str) -> None:
    if not shutil.which("ssh"):
        pytest.skip("ssh: apt-get install openssh-client")
    parsed = test_board.parse_address(address)
    port_option = ["-p", parsed.port] if parsed.port else []
    asked = ["ssh", "-G", "-F", "none", "-l", "root", *port_option, parsed.host]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"user root", f"hostname {host}", f"port {port}"} <= set(said)


@pytest.mark.parametrize("address", ["fe80::1", "[::1", "[::1]:ssh", "::1::2", "[192.0.2.1]:22"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    done = command(address)
    assert done.returncode == 2
    assert address in done.stderr


@pytest.mark.parametrize(("loopback", "form"), [("127.0.0.1", "{}:{}"), ("::1", "[{}]:{}")])
def test_without_the_board(loopback: str, form: str) -> None:
    if not shutil.which("ssh"):
        pytest.skip("ssh: apt-get install openssh-client")
    if trees := test_board.missing_trees(kas.LAYERS):
        pytest.skip(f"layer trees {', '.join(trees)}: lay them out in {kas.LAYERS}")
    with socket.socket(socket.AF_INET6 if ":" in loopback else socket.AF_INET) as nobody:
        try:
            nobody.bind((loopback, 0))
        except OSError as error:
            pytest.skip(f"the address {loopback} on this machine: {error}")
        address = form.format(loopback, nobody.getsockname()[1])
        done = command(address)
    assert done.returncode == os.EX_UNAVAILABLE
    assert f"expected SSH to log in as root@{address}" in done.stderr
    assert "Connection refused" in done.stderr
