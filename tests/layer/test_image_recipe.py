# SPDX-License-Identifier: MIT
"""The image recipe's own steps, run as BitBake would: its shell function with the variables filled in."""

import re
import subprocess
from pathlib import Path

import pytest

from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.flash.error import ImageError
from wr_nvidia_k8s.flash.image import verify_sha256

LAYER = TOP / "meta-wr-nvidia-k8s"
RECIPE = LAYER / "dynamic-layers/wrlinux-distro/recipes-core/images/wr-nvidia-k8s-image.bb"


@pytest.mark.parametrize("kind", ["rootfs.tegraflash.tar.gz", "tegraflash.zip", "rootfs.wic"])
def test_flash_finds_the_sum_of_every_kind_of_image(kind: str, tmp_path: Path) -> None:
    name = "wr-nvidia-k8s-image-board"
    function = re.search(r"^write_checksums\(\) \{\n.*?^\}\n", RECIPE.read_text(), re.MULTILINE | re.DOTALL)
    assert function
    body = function[0].replace("${IMGDEPLOYDIR}", str(tmp_path)).replace("${IMAGE_NAME}", name)
    image = tmp_path / f"{name}.{kind}"
    image.write_bytes(b"image")
    link = tmp_path / f"latest.{kind}"
    link.symlink_to(image.name)
    subprocess.run(["sh", "-euc", f"{body}\nwrite_checksums"], check=True)
    assert verify_sha256(link) == image.with_name(f"{image.name}.sha256")
    image.write_bytes(b"damaged")
    with pytest.raises(ImageError, match="damaged"):
        verify_sha256(image)


@pytest.mark.parametrize("epoch", ["1893456000", ""])
def test_clock_starts_when_the_image_was_built(epoch: str, tmp_path: Path) -> None:
    function = re.search(
        r"^clock_epoch_install\(\) \{\n.*?^\}\n", (LAYER / "classes/clock_epoch.bbclass").read_text(), re.M | re.S
    )
    assert function
    body = function[0].replace("${IMAGE_ROOTFS}", str(tmp_path)).replace("${nonarch_libdir}", "/usr/lib")
    body = re.sub(r"\$\{@(.*?)\}", lambda match: epoch or match[1].rpartition(" or ")[2].strip("'"), body)
    now = int(subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True).stdout)
    subprocess.run(["sh", "-euc", f"{body}\nclock_epoch_install"], check=True)
    stamp = (tmp_path / "usr/lib/clock-epoch").stat().st_mtime
    assert stamp == int(epoch) if epoch else stamp >= now
