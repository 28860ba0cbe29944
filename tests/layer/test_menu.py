# SPDX-License-Identifier: MIT
"""kas/Kconfig: what `kas menu` makes of the choices is a configuration that kas builds."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kas.plugins.menu import Menu  # type: ignore[import-untyped]
from kconfiglib import Kconfig  # type: ignore[import-untyped]

from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.common.paths import TOP

FILE = TOP / "kas" / "Kconfig"
BOARDS = [f"BOARD_{name.upper().replace('-', '_')}" for name in kas.images()]


def choose(folder: Path, *symbols: str, **strings: str) -> dict[str, Any]:
    """What kas writes into .config.yaml for these choices, with all its includes resolved by kas."""
    menu = Menu()
    menu.kconf = Kconfig(str(FILE), warn_to_stderr=False)
    menu.orig_config = {}
    for symbol in symbols:
        assert menu.kconf.syms[symbol].set_value("y"), symbol
        assert menu.kconf.syms[symbol].str_value == "y", f"{symbol} cannot be chosen with {symbols}"
    for symbol, value in strings.items():
        assert menu.kconf.syms[symbol].set_value(value), symbol
    saved = folder / ".config.yaml"
    menu.save_config(str(saved), str(TOP))
    assert menu.kconf.warnings == []
    written: dict[str, Any] = yaml.safe_load(saved.read_text())
    config = kas.read([*written["header"]["includes"]])
    config["local_conf_header"].update(written.get("local_conf_header", {}))
    return config


def release_of(board: str) -> str:
    return "RELEASE_LTS22" if board == "BOARD_JETSON_NANO" else "RELEASE_LTS24"


@pytest.mark.parametrize("board", BOARDS)
def test_every_image_can_be_chosen(board: str, tmp_path: Path) -> None:
    name = board.removeprefix("BOARD_").lower().replace("_", "-")
    assert choose(tmp_path, release_of(board), board)["machine"] == kas.read([f"kas/{name}.yml"])["machine"]


def test_nothing_but_the_images_can_be_chosen() -> None:
    symbols = Kconfig(str(FILE), warn_to_stderr=False).syms
    assert sorted(name for name in symbols if name.startswith("BOARD_")) == sorted(BOARDS)


def test_defaults_are_a_plain_server(tmp_path: Path) -> None:
    config = choose(tmp_path)
    lines = "\n".join(config["local_conf_header"].values())
    assert config["machine"] == "jetson-orin-nano-devkit"
    for option in ("debug-tweaks", "WR_NVIDIA_K8S_ROLE", "WR_NVIDIA_K8S_SECURE", "LICENSE_FLAGS_ACCEPTED"):
        assert option not in lines


@pytest.mark.parametrize(
    ("symbols", "strings", "line"),
    [
        (["ROLE_AGENT"], {}, 'WR_NVIDIA_K8S_ROLE = "agent"'),
        (
            ["ROLE_AGENT"],
            {"WR_NVIDIA_K8S_SERVER_URL": "https://server.example:6443"},
            'WR_NVIDIA_K8S_SERVER_URL = "https://server.example:6443"',
        ),
        (["SECURE"], {}, 'WR_NVIDIA_K8S_SECURE = "1"'),
        (["DEBUG_TWEAKS"], {}, 'EXTRA_IMAGE_FEATURES += "debug-tweaks"'),
        (["BOARD_X86_64", "ACCEPT_NVIDIA_LICENSE"], {}, 'LICENSE_FLAGS_ACCEPTED += "nvidia-driver"'),
        ([], {"WR_NVIDIA_K8S_PRELOAD_DIR": "/images"}, 'WR_NVIDIA_K8S_PRELOAD_DIR = "/images"'),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_option_reaches_local_conf(symbols: list[str], strings: dict[str, str], line: str, tmp_path: Path) -> None:
    assert line in "\n".join(choose(tmp_path, *symbols, **strings)["local_conf_header"].values())


def test_nano_has_no_secure_mode() -> None:
    kconfig = Kconfig(str(FILE), warn_to_stderr=False)
    kconfig.syms["RELEASE_LTS22"].set_value("y")
    kconfig.syms["SECURE"].set_value("y")
    assert kconfig.syms["SECURE"].str_value == "n"
