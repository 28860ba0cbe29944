# SPDX-License-Identifier: MIT
"""The table of boards agrees with kas's configurations and with meta-tegra."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from flash.archives import BUILDS
from flash.places import TOP
from wr_nvidia_k8s.flash.boards import BOARDS, RECOVERY_PRODUCTS

LAYER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wr-nvidia-k8s/layers/meta-tegra"
SCRIPTS = LAYER / "recipes-bsp/tegra-binaries/tegra-helper-scripts"


def test_every_hardware_configuration_of_kas_can_be_flashed() -> None:
    machines = {
        file.stem: yaml.safe_load(file.read_text()).get("machine")
        for file in (TOP / "kas").glob("*.yml")
        if not file.name.startswith("qemu") and not file.name.endswith(".lock.yml")
    }
    assert machines
    assert machines == {name: BOARDS[name].machine for name in machines}


def test_every_product_is_of_its_boards_chip() -> None:
    for board in BOARDS.values():
        if board.chip:
            assert board.product in RECOVERY_PRODUCTS
            assert board.product.endswith(board.chip.removeprefix("0x"))
    assert BUILDS.keys() == {name for name, board in BOARDS.items() if board.chip}


@pytest.fixture
def layer() -> Path:
    if not SCRIPTS.is_dir():
        pytest.skip("meta-tegra's scripts: kas checkout kas/jetson-orin-nano.yml (CONTRIBUTING.md)")
    return LAYER


def test_meta_tegra_knows_these_products(layer: Path) -> None:
    text = (SCRIPTS / "find-jetson-usb.sh").read_text()
    match = re.search(r"^\s*((?:[0-9a-f]{4}\|)+[0-9a-f]{4})\)", text, re.MULTILINE)
    assert match
    products = set(match[1].split("|"))
    assert products <= RECOVERY_PRODUCTS.keys()
    assert {board.product for board in BOARDS.values() if board.chip == "0x23"} <= products


def test_meta_tegra_has_these_machines(layer: Path) -> None:
    for board in BOARDS.values():
        if board.chip == "0x23":
            assert (layer / "conf/machine" / f"{board.machine}.conf").is_file()


def test_the_scripts_still_say_what_the_advice_looks_for(layer: Path) -> None:
    """flash.steps and flash.advice read these words; a new meta-tegra may have changed them."""
    flash = (SCRIPTS / "initrd-flash.sh").read_text()
    for words in ("Final status: $final_status", "write failure to", "got flashpkg when expecting",
                  "Waiting for USB storage device $name", "could not create command package", "signing failed",
                  "RCM boot failed", "usb-instance:"):  # fmt: skip
        assert words in flash
    assert 'final_status="SUCCESS"' in (layer / "recipes-core/initrdscripts/tegra-flash-init/init-flash.sh").read_text()
    helper = (SCRIPTS / "tegra-flash-helper.sh").read_text()
    for words in ("does not match expected board ID", "configured for secure boot", "could not retrieve EEPROM",
                  "spi-only", "does not match actual chip ID"):  # fmt: skip
        assert words in helper
    card = (SCRIPTS / "make-sdcard.sh").read_text()
    for words in ("failed to write", "partitioning failed", "could not initialize GPT", "command -v sgdisk"):
        assert words in card
