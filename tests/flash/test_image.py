# SPDX-License-Identifier: MIT
"""The image is looked at before anything is written: is it there, whole, harmless, and for this board?"""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from flash.archives import BUILDS, called, make
from flash.places import Place, Result, need

ORIN = BUILDS["jetson-orin-nano"]


@pytest.fixture(autouse=True)
def board(place: Place) -> None:
    """An Orin Nano in recovery mode, so that only the image can be wrong."""
    need("dtc", "cpp", "sgdisk", "partprobe")
    place.plug("1-2", ORIN.product)


def flash(place: Place, image: Path) -> Result:
    return place.flash(ORIN.board, "--image", image, "--yes", "--json")


def refused(place: Place, image: Path, *words: str, code: int = 65) -> None:
    result = flash(place, image)
    assert (result.code, result.json["exit_code"], called(image), result.left) == (code, code, [], [])
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize("ending", [".sha256", ".sha256sum"])
def test_the_sum_beside_the_image_is_compared(place: Place, ending: str) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    beside = Path(f"{image}{ending}")
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    beside.write_text(f"{'0' * 64}  other.tar.gz\n{digest}  {image.name}\n")
    result = flash(place, image)
    assert (result.code, result.json["checksum"]) == (0, str(beside))
    image.with_name("called").unlink()
    beside.write_text(f"{'0' * 64}  {image.name}\n")
    refused(place, image, f"expected the SHA-256 {'0' * 64}", f"found {digest}")
    beside.write_text("not a sum\n")
    refused(place, image, "expected one line")


def test_bitbakes_link_finds_the_sum_of_what_it_points_to(place: Place) -> None:
    made = make(place.folder / "image", ORIN, place.folder / "sys", name="build-20261123.tegraflash.tar.gz")
    link = made.with_name("latest.tegraflash.tar.gz")
    link.symlink_to(made.name)
    Path(f"{made}.sha256").write_text(f"{'0' * 64}  {made.name}\n")
    refused(place, link, "expected the SHA-256")


def test_without_a_sum_it_says_so(place: Place) -> None:
    result = flash(place, make(place.folder / "image", ORIN, place.folder / "sys"))
    assert (result.code, result.json["checksum"]) == (0, None)
    assert "only the archive's own checksums" in result.stderr


@pytest.mark.parametrize("where", [-5, 0.5])  # the gzip checksum itself, and the data
def test_a_damaged_archive(place: Place, where: float) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    data = bytearray(image.read_bytes())
    data[int(where if where < 0 else len(data) * where)] ^= 0x10
    image.write_bytes(data)
    refused(place, image, "found damage")


def test_a_truncated_archive(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    image.write_bytes(image.read_bytes()[:-100])
    refused(place, image, "found damage")


def test_a_damaged_zip(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys", package="zip")
    with zipfile.ZipFile(image) as archive:
        place_of_data = archive.getinfo("boot.img").header_offset + 40
    data = bytearray(image.read_bytes())
    data[place_of_data] ^= 0x10
    image.write_bytes(data)
    refused(place, image, "found damage")


@pytest.mark.parametrize("other", ["jetson-orin-nano-nvme", "jetson-xavier-nx", "jetson-nano"])
def test_an_image_for_another_board(place: Place, other: str) -> None:
    image = make(place.folder / "image", BUILDS[other], place.folder / "sys")
    refused(place, image, f"expected an image for {ORIN.machine}, found one for {BUILDS[other].machine}")


def test_an_image_for_another_chip_under_this_boards_name(place: Place) -> None:
    image = make(place.folder / "image", BUILDS["jetson-xavier-nx"], place.folder / "sys", machine=ORIN.machine)
    refused(place, image, "expected an image for the chip 0x23, found one for 0x19")


def test_the_board_is_known_without_initrd_flash_too(place: Place) -> None:
    image = make(place.folder / "image", BUILDS["jetson-nano"], place.folder / "sys", initrd=False)
    refused(place, image, "found one for jetson-nano-devkit")


def tarball(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def test_something_else_in_a_tarball(place: Place) -> None:
    member = tarfile.TarInfo("README")
    refused(place, tarball(place.folder / "x.tegraflash.tar.gz", member), "expected doflash.sh at the top")


def evil(kind: str, outside: Path) -> list[tarfile.TarInfo]:
    member = tarfile.TarInfo("file")
    if kind == "above":
        member.name, member.size = "../evil", 4
    elif kind == "absolute":
        member.name, member.size = str(outside / "evil"), 4
    elif kind == "device":
        member.type, member.devmajor, member.devminor = tarfile.CHRTYPE, 1, 3
    elif kind == "hard link":
        member.type, member.linkname = tarfile.LNKTYPE, "../../etc/passwd"
    elif kind == "link":
        member.type, member.linkname = tarfile.SYMTYPE, str(outside)
        through = tarfile.TarInfo("file/evil")
        through.size = 4
        return [member, through]
    return [member]


@pytest.mark.parametrize("kind", ["above", "absolute", "device", "hard link", "link"])
def test_an_archive_that_reaches_outside_is_refused(place: Place, kind: str) -> None:
    """The rest of it is right, so that only the evil member can be the reason."""
    outside = place.folder / "outside"
    outside.mkdir()
    good = make(place.folder / "image", ORIN, place.folder / "sys")
    image = good.with_name(f"evil-{good.name}")
    with tarfile.open(good) as source, tarfile.open(image, "w:gz") as tar:
        for member in source:
            tar.addfile(member, source.extractfile(member) if member.isfile() else None)
        for member in evil(kind, outside):
            tar.addfile(member, io.BytesIO(b"evil"))
    refused(place, image, "do not use")
    assert list(outside.iterdir()) == []
    assert not list(place.folder.rglob("evil"))


def test_a_zip_that_reaches_outside_is_refused(place: Place) -> None:
    image = make(place.folder / "image", ORIN, place.folder / "sys", package="zip")
    with zipfile.ZipFile(image, "a") as archive:
        archive.writestr("../evil", "evil")
    refused(place, image, "'../evil'")


def test_the_image_of_the_last_build_is_the_default(place: Place) -> None:
    deploy = place.folder / "build/tmp/deploy/images" / ORIN.machine
    deploy.mkdir(parents=True)
    image = make(place.folder / "image", ORIN, place.folder / "sys")
    versioned = deploy / f"wr-nvidia-k8s-image-{ORIN.machine}.rootfs-20261123080000.tegraflash.tar.gz"
    shutil.copy(image, versioned)
    link = deploy / f"wr-nvidia-k8s-image-{ORIN.machine}.rootfs.tegraflash.tar.gz"
    link.symlink_to(versioned.name)
    assert place.flash(ORIN.board, "--dry-run", "--json").json["image"] == str(link)  # ./build
    place.variables["KAS_BUILD_DIR"] = str(place.folder / "elsewhere")
    result = place.flash(ORIN.board, "--dry-run")
    assert result.code == 66
    assert "kas build kas/jetson-orin-nano.yml" in result.stderr
    assert str(place.folder / "elsewhere/tmp*/deploy/images") in result.stderr
    (place.folder / "build").rename(place.folder / "elsewhere")
    assert place.flash(ORIN.board, "--dry-run").code == 0


def test_no_such_file(place: Place) -> None:
    refused(place, place.folder / "none.tegraflash.tar.gz", "found nothing at", code=66)
    refused(place, place.folder, "found no file at", code=66)


def test_a_damaged_zst_archive(place: Place) -> None:
    need("zstd")
    image = make(place.folder / "image", ORIN, place.folder / "sys", package="zst")
    data = image.read_bytes()
    image.write_bytes(data[: len(data) // 2])
    refused(place, image, "expected a whole archive", str(image))
    image.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))  # its checksum
    refused(place, image, "expected a whole archive")
    image.write_bytes(data + b"more, after the end of a good archive")
    refused(place, image, "expected a whole archive", "unsupported format")
    place.variables["PATH"] = place.path_without("zstd")
    refused(place, image, "sudo apt-get install zstd", code=69)


def test_a_disk_image_is_not_for_a_jetson(place: Place) -> None:
    image = place.folder / "wr-nvidia-k8s-image-intel-x86-64.rootfs.wic.gz"
    image.write_bytes(gzip.compress(b"disk"))
    refused(place, image, "expected a file name that ends with .tegraflash.tar.gz")
