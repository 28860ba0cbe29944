# SPDX-License-Identifier: MIT
"""A cluster's token gets into an agent's image so that only root reads it, and nowhere else."""

import subprocess
from pathlib import Path

import pytest
import yaml

import shell_function

TOP = Path(__file__).resolve().parents[2]
CLASS = TOP / "meta-wr-nvidia-k8s/classes/k3s_token.bbclass"
SECRET = "K10a5c::server:0123456789abcdef"


def install(rootfs: Path, token: Path, role: str = "agent") -> subprocess.CompletedProcess[str]:
    """Run the class's function."""
    return shell_function.run(
        CLASS, "k3s_token_install", IMAGE_ROOTFS=rootfs, sysconfdir="/etc", WR_NVIDIA_K8S_TOKEN_FILE=token,
        WR_NVIDIA_K8S_ROLE=role,
    )  # fmt: skip


def test_token_is_in_the_image_where_k3s_looks_for_it_and_for_root_alone(tmp_path: Path) -> None:
    source, rootfs = tmp_path / "node-token", tmp_path / "rootfs"
    source.write_text(f"{SECRET}\n")
    source.chmod(0o644)
    done = install(rootfs, source)
    assert done.returncode == 0, done.stderr
    agent = TOP / "recipes-containers/k3s/k3s-config/agent.yaml"
    token = rootfs / yaml.safe_load(agent.read_text())["token-file"].lstrip("/")
    assert token.read_text() == f"{SECRET}\n"
    assert token.stat().st_mode & 0o777 == 0o600
    assert SECRET not in done.stdout + done.stderr
    assert [path for path in rootfs.rglob("*") if path.is_file()] == [token]


@pytest.mark.parametrize(("content", "role", "expected"), [
    (None, "agent", "expected a file with the token of the cluster, found none"),
    ("", "agent", "expected a file with the token of the cluster, found none"),
    (SECRET, "server", "expected nothing, because WR_NVIDIA_K8S_ROLE is not agent"),
])  # fmt: skip
def test_no_image_is_made_without_the_token_that_was_asked_for(
    tmp_path: Path, content: str | None, role: str, expected: str
) -> None:
    source = tmp_path / "node-token"
    if content is not None:
        source.write_text(content)
    done = install(tmp_path / "rootfs", source, role)
    assert done.returncode != 0
    assert f"ERROR: WR_NVIDIA_K8S_TOKEN_FILE: {expected}" in done.stderr
    assert not (tmp_path / "rootfs").exists()


def test_no_recipe_takes_the_token_into_a_package() -> None:
    recipes = [path for folder in ("recipes-containers", "meta-wr-nvidia-k8s") for path in (TOP / folder).rglob("*.bb")]
    assert recipes
    assert [path for path in recipes if "WR_NVIDIA_K8S_TOKEN_FILE" in path.read_text()] == []
