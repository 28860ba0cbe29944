# SPDX-License-Identifier: MIT
"""The kas configurations: right by kas's own schema, pinned, and composed as they say."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator  # type: ignore[import-untyped]
from kas.configschema import CONFIGSCHEMA  # type: ignore[import-untyped]

from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.common.paths import TOP

FILES = sorted((TOP / "kas").rglob("*.yml"))
BOARDS = kas.images()


@pytest.fixture(scope="module", params=BOARDS)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The configuration of one board with all its includes, as kas composes it."""
    return kas.read([f"kas/{request.param}.yml"])


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(TOP)) for file in FILES])
def test_file_follows_kas_schema(file: Path) -> None:
    errors = Draft7Validator(CONFIGSCHEMA).iter_errors(yaml.safe_load(file.read_text()))
    assert [f"{'/'.join(map(str, error.path))}: {error.message}" for error in errors] == []


def test_there_is_a_board() -> None:
    assert BOARDS


def test_every_layer_is_pinned(board: dict[str, Any]) -> None:
    """A build next year takes the layers of today: each has a commit, and the branch that kas clones it from."""
    pins = board["overrides"]["repos"]
    foreign = {name: repo for name, repo in board["repos"].items() if name != kas.OWN_REPO}
    assert len(foreign) > 5
    for name, repo in foreign.items():
        assert repo["url"].startswith("https://github.com/"), name
        assert repo["branch"], name
        commit = pins.get(name, {}).get("commit") or repo.get("commit", "")
        assert re.fullmatch(r"[0-9a-f]{40}", commit), f"{name}: pinned to {commit!r}, expected a full commit"
    assert set(pins) <= set(foreign), "a pin of a repository that no configuration names"


def test_board_builds_the_image_with_the_layer_of_this_checkout(board: dict[str, Any]) -> None:
    assert board["distro"] == "wrlinux"
    assert board["machine"]
    assert board["target"] == "wr-nvidia-k8s-image"
    assert board["repos"][kas.OWN_REPO] == {"layers": {kas.OWN_REPO: None}}


def test_password_free_root_is_only_by_request(board: dict[str, Any], request: pytest.FixtureRequest) -> None:
    assert "debug-tweaks" not in "".join(board["local_conf_header"].values())
    name = request.node.callspec.params["board"]
    asked = kas.read([f"kas/{name}.yml", "kas/include/debug-tweaks.yml"])
    assert 'EXTRA_IMAGE_FEATURES += "debug-tweaks"' in asked["local_conf_header"]["debug-tweaks"]


def test_missing_trees_are_named(tmp_path: Path, board: dict[str, Any]) -> None:
    (tmp_path / board["repos"]["oe-core"].get("path", "oe-core")).mkdir(parents=True)
    missing = kas.missing_trees(board, tmp_path)
    assert "wrlinux" in missing
    assert not {"oe-core", kas.OWN_REPO} & set(missing)


def test_wrong_configuration_is_refused_with_what_kas_says() -> None:
    with pytest.raises(kas.KasError, match="nosuch"):
        kas.read(["kas/nosuch.yml"])


def test_what_is_the_users_comes_from_the_environment(board: dict[str, Any]) -> None:
    names = ("DATA_DISK", "PRELOAD_DIR", "SERVER_URL", "SSH_KEYS_FILE", "TOKEN_FILE")
    assert board["env"] == {f"WR_NVIDIA_K8S_{name}": None for name in names}
