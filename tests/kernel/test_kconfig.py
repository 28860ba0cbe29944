# SPDX-License-Identifier: MIT
"""Real kernels take every option of ours: none is unknown to them, and none lacks another that it depends on.

Debian's kernels stand in for the boards', whose sources no package has: 5.10 and 6.1 have between them what is in
5.15 and 6.6. Where a developer has laid out NVIDIA's own (SOURCES below), those are asked, too.
"""

from pathlib import Path

import pytest

from kernel import kconfig, kernel_config, sources
from kernel.kernel_config import COMMON, GPU, SINCE, Kernel

CASES = [
    (("bullseye", "5.10"), Kernel("5.10", (COMMON, SINCE))),
    (("bookworm", "6.1"), Kernel("6.1", (COMMON, SINCE))),
    (("bookworm", "6.1"), Kernel("6.1", (COMMON, SINCE, GPU), "x86_64")),
]
# Folders below sources.folder(), and the defconfig that the board's recipe starts from.
SOURCES = [
    ("linux-tegra-4.9", "tegra_defconfig", kernel_config.KERNELS[0]),
    ("linux-tegra-5.10", "defconfig", kernel_config.KERNELS[1]),
    ("linux-jammy-nvidia-tegra-5.15", "defconfig", kernel_config.KERNELS[2]),
]
BASES = {"arm64": "arch/arm64/configs/defconfig", "x86_64": "arch/x86/configs/x86_64_defconfig"}
_RANK = {"n": 0, "m": 1, "y": 2}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For what make builds of each kernel, once."""
    return tmp_path_factory.mktemp("kconfig")


@pytest.mark.parametrize(("debian", "kernel"), CASES, ids=lambda value: str(value) if isinstance(value, Kernel) else "")
def test_every_option_survives(debian: tuple[str, str], kernel: Kernel, output: Path) -> None:
    tree = kconfig.debian_kernel(*debian)
    check(tree, BASES[kernel.arch], kernel, output / f"debian-{kernel.version}")


@pytest.mark.parametrize(("name", "defconfig", "kernel"), SOURCES, ids=[name for name, _, _ in SOURCES])
def test_every_option_survives_on_a_jetson(name: str, defconfig: str, kernel: Kernel, output: Path) -> None:
    tree = sources.find(name, "check out the kernel of the board's recipe there")
    check(tree, f"arch/arm64/configs/{defconfig}", kernel, output / name)


def check(tree: Path, base: str, kernel: Kernel, output: Path) -> None:
    """On top of the board's own configuration, each option is as we want it and no other is less than it was."""
    # On every board it is, and other defaults are in force where it is not.
    defconfig = (tree / base).read_text() + "CONFIG_NETFILTER_ADVANCED=y\n"
    wanted = kernel_config.merge(kernel.fragments)
    before = kconfig.resolve(tree, kernel.arch, defconfig, output)
    after = kconfig.resolve(tree, kernel.arch, defconfig + kernel_config.text(wanted), output)
    assert kconfig.lost(wanted, after) == {}
    # Nor does any option of ours stand on one that happens to be the board's.
    alone = kconfig.resolve(tree, kernel.arch, "CONFIG_SMP=y\n" + kernel_config.text(wanted), output)
    assert kconfig.lost(wanted, alone) == {}
    less = {name for name, value in before.items() if _RANK.get(after.get(name, "n"), 0) < _RANK.get(value, 0)}
    assert less <= {name for name, value in wanted.items() if value == "n"}


def test_a_lost_option_is_found(output: Path) -> None:
    """Without what it depends on, and by a name that no kernel has."""
    tree = kconfig.debian_kernel("bookworm", "6.1")
    wanted = {"IP_VS": "y", "NET": "y", "NETFILTER": "n", "NO_SUCH_OPTION": "y", "BRIDGE": "y"}
    resolved = kconfig.resolve(tree, "arm64", kernel_config.text(wanted), output / "debian-6.1")
    assert kconfig.lost(wanted, resolved) == {"IP_VS": "n", "NO_SUCH_OPTION": "n"}
