# SPDX-License-Identifier: MIT
"""kas/Kconfig: what `kas menu` makes of the choices is a configuration that kas builds."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from kas.plugins.menu import Menu, Menuconfig  # type: ignore[import-untyped]
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
            {"MENU_SERVER_URL": "https://server.example:6443"},
            'WR_NVIDIA_K8S_SERVER_URL = "https://server.example:6443"',
        ),
        (["SECURE"], {}, 'WR_NVIDIA_K8S_SECURE = "1"'),
        (["DEBUG_TWEAKS"], {}, 'EXTRA_IMAGE_FEATURES += "debug-tweaks"'),
        (["BOARD_X86_64", "ACCEPT_NVIDIA_LICENSE"], {}, 'LICENSE_FLAGS_ACCEPTED += "nvidia-driver"'),
        (["ROLE_AGENT"], {"MENU_TOKEN_FILE": "/token"}, 'WR_NVIDIA_K8S_TOKEN_FILE = "/token"'),
        ([], {"MENU_SSH_KEYS_FILE": "/keys"}, 'WR_NVIDIA_K8S_SSH_KEYS_FILE = "/keys"'),
        ([], {"MENU_PRELOAD_DIR": "/images"}, 'WR_NVIDIA_K8S_PRELOAD_DIR = "/images"'),
        ([], {"MENU_DATA_DISK": "LABEL=data"}, 'WR_NVIDIA_K8S_DATA_DISK = "LABEL=data"'),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_option_reaches_local_conf(symbols: list[str], strings: dict[str, str], line: str, tmp_path: Path) -> None:
    assert line in "\n".join(choose(tmp_path, *symbols, **strings)["local_conf_header"].values())


@pytest.mark.parametrize("role", ["ROLE_SERVER", "ROLE_AGENT"])
def test_an_empty_field_sets_nothing_and_leaves_the_environment_in_force(role: str, tmp_path: Path) -> None:
    """An assignment in local.conf wins over the environment, an empty one too."""
    config = choose(tmp_path, role)
    from_environment = [name for name, value in config["env"].items() if value is None]
    assert len(from_environment) > 2
    lines = "\n".join(config["local_conf_header"].values())
    assert [name for name in from_environment if re.search(rf"(?m)^{name}\b", lines)] == []


def test_every_variable_of_the_environment_has_a_field(tmp_path: Path) -> None:
    symbols = Kconfig(str(FILE), warn_to_stderr=False).syms
    fields = {name.removeprefix("MENU_") for name in symbols if name.startswith("MENU_")}
    assert {f"WR_NVIDIA_K8S_{field}" for field in fields} == set(choose(tmp_path)["env"])


def test_what_was_entered_is_there_when_the_menu_is_opened_again(tmp_path: Path) -> None:
    choose(tmp_path, "ROLE_AGENT", MENU_SERVER_URL="https://server.example:6443", MENU_PRELOAD_DIR="/images")
    again = Menu()
    again.kconf = Kconfig(str(FILE), warn_to_stderr=False)
    again.load_config(str(tmp_path / ".config.yaml"))
    assert again.kconf.syms["WR_NVIDIA_K8S_SERVER_URL"].str_value == "https://server.example:6443"
    assert again.kconf.syms["WR_NVIDIA_K8S_PRELOAD_DIR"].str_value == "/images"
    assert again.kconf.warnings == []


@pytest.mark.parametrize(("role", "server", "warned"), [
    ("ROLE_SERVER", "", False), ("ROLE_AGENT", "", True), ("ROLE_AGENT", "https://server.example:6443", False),
])  # fmt: skip
def test_the_menu_says_that_an_agent_has_no_server(role: str, server: str, warned: bool) -> None:
    kconfig = Kconfig(str(FILE), warn_to_stderr=False)
    kconfig.syms[role].set_value("y")
    kconfig.syms["MENU_SERVER_URL"].set_value(server)
    shown = [text for text, _ in Menuconfig.menu_node_strings(kconfig.top_node.list, 0)]
    assert any("No server" in text for text in shown) == warned


def test_nano_has_no_secure_mode() -> None:
    kconfig = Kconfig(str(FILE), warn_to_stderr=False)
    kconfig.syms["RELEASE_LTS22"].set_value("y")
    kconfig.syms["SECURE"].set_value("y")
    assert kconfig.syms["SECURE"].str_value == "n"
