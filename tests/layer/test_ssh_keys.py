# SPDX-License-Identifier: MIT
"""Public keys get into an image so that sshd takes them, and nothing else gets there by mistake."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import shell_function
from wr_nvidia_k8s.common.paths import TOP

CLASS = TOP / "meta-wr-nvidia-k8s/classes/ssh_keys.bbclass"
IMAGE = TOP / "meta-wr-nvidia-k8s/dynamic-layers/wrlinux-distro/recipes-core/images/wr-nvidia-k8s-image.bb"


def install(rootfs: Path, keys: Path) -> subprocess.CompletedProcess[str]:
    """Run the class's function."""
    return shell_function.run(
        CLASS, "ssh_keys_install", IMAGE_ROOTFS=rootfs, ROOT_HOME="/root", WR_NVIDIA_K8S_SSH_KEYS_FILE=keys
    )


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key; the public one is beside it."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen: apt-get install openssh-client")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "somebody", "-f", tmp_path / "id"], check=True)
    return tmp_path / "id"


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_keys_are_in_the_image_as_sshd_wants_them(tmp_path: Path, key: Path, kind: str) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", tmp_path / "other"], check=True)
    keys = tmp_path / "keys"
    other = (tmp_path / "other.pub").read_text()
    keys.write_text(f'# ours\n\n{key.with_suffix(".pub").read_text()}restrict,command="/bin/true now" {other}')
    keys.chmod(0o666)
    done = install(tmp_path / "rootfs", keys)
    assert done.returncode == 0, done.stderr
    installed = tmp_path / "rootfs/root/.ssh/authorized_keys"
    assert installed.read_text() == keys.read_text()
    # sshd(8), StrictModes: nobody else may write to the file or to its folder.
    assert installed.stat().st_mode & 0o777 == 0o600
    assert installed.parent.stat().st_mode & 0o777 == 0o700
    found = subprocess.run(["ssh-keygen", "-l", "-f", installed], capture_output=True, text=True, check=True).stdout
    assert len(found.splitlines()) == 2
    assert [path for path in (tmp_path / "rootfs").rglob("*") if path.is_file()] == [installed]


@pytest.mark.parametrize("what", ["nothing", "empty", "comment", "private key", "text", "a key and a password"])
def test_no_image_is_made_with_anything_but_public_keys(tmp_path: Path, key: Path, what: str) -> None:
    """A private key named by mistake must not be handed on with an image."""
    public = key.with_suffix(".pub").read_text()
    content = {
        "empty": "", "comment": "# none\n", "private key": key.read_text(), "text": "ssh-ed25519\n",
        "a key and a password": f"{public}hunter2\n",
    }.get(what)  # fmt: skip
    keys = tmp_path / "keys"
    if content is not None:
        keys.write_text(content)
    done = install(tmp_path / "rootfs", keys)
    assert done.returncode != 0
    assert "ERROR: WR_NVIDIA_K8S_SSH_KEYS_FILE: expected public SSH keys" in done.stderr
    assert not (tmp_path / "rootfs").exists()


def test_the_image_takes_them_and_no_package_does() -> None:
    assert re.search(r"(?m)^inherit .*\bssh_keys\b", IMAGE.read_text())
    recipes = [path for folder in ("recipes-containers", "meta-wr-nvidia-k8s") for path in (TOP / folder).rglob("*.bb")]
    named = [path for path in recipes if re.search(r"^[^#]*\$\{WR_NVIDIA_K8S_SSH_KEYS_FILE", path.read_text(), re.M)]
    assert recipes and named == []
