# SPDX-License-Identifier: MIT
"""The Yocto Project's own check of a layer: README, compatible releases, a world build, nothing changed elsewhere."""

import re
import sys

import pytest

from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.paths import TOP

FILES = ["kas/jetson-orin-nano.yml", kas.OFFLINE, "tests/bitbake/tasks.yml", "tests/bitbake/check-layer.yml"]
NEIGHBOURS = [*FILES, "tests/bitbake/check-neighbours.yml"]


def check_layer(name: str, files: list[str]) -> str:
    """The output of yocto-check-layer on our layer, in a build of kas's ``files``."""
    trees = kas.LAYERS
    if missing := kas.missing_trees(kas.read(files)):
        pytest.skip(f"layer trees {', '.join(missing)}: lay them out in {trees}")
    build = kas.KasBuild(cache.root() / "check-layer" / name, files)
    # kas names layers relative to the build directory, and yocto-check-layer does not know them by these names.
    absolute = f"sed -i -E 's,[$][{{]TOPDIR[}}]/([.][.]/)+layers,{trees},' conf/bblayers.conf"
    dependencies = f"{trees}/oe-core/meta {trees}/meta-openembedded {trees}/meta-virtualization"
    ours = TOP / kas.OWN_REPO
    check = f"yocto-check-layer {ours} --no-auto-dependency --dependency {dependencies}"
    with build.popen(f"{absolute} && {check}") as process:
        output = process.communicate()[0]
    sys.stdout.write(output)
    assert re.search(rf"{kas.OWN_REPO} \.\.\. PASS", output), "the reason is in the captured output"
    assert process.returncode == 0
    return output


def test_yocto_check_layer() -> None:
    output = check_layer("own", FILES)
    # OE-core expects its check of patches' Upstream-Status to fail; of us it must not.
    assert not re.search(r"\.\.\. expected failure", output)
    ran = re.search(r"Ran (\d+) tests .*\n.*(?:OK|PASSED)", output)
    assert ran and int(ran[1]) > 5


def test_a_build_that_merely_has_the_layer_beside_meta_tegra_is_not_changed() -> None:
    output = check_layer("neighbours", NEIGHBOURS)
    assert re.search(r"test_signatures \(.*\n.*\.\.\. ok", output)
    signatures = cache.root() / "check-layer" / "neighbours" / "build" / "locked-sigs.inc"
    assert "nvidia-container-toolkit:do_compile:" in signatures.read_text(), "expected meta-tegra's to be compared"
