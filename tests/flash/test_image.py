# SPDX-License-Identifier: MIT
"""The image is looked at before anything is written: is it there, whole, harmless, and for this board?"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from flash.archives import BUILDS, called, make
from flash.places import Place, Result, need
from flash.test_usb import as_user
from wr_nvidia_k8s.flash import image
from wr_nvidia_k8s.flash.boards import BOARDS, Board
from wr_nvidia_k8s.flash.error import ImageError, ImageMissing

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


DIGEST = hashlib.sha256(b"image").hexdigest()


@pytest.mark.parametrize(
    "text",
    ["{sum}\n", "{SUM}  x.wic\n", "{sum} *x.wic\n", "{sum}  deploy/x.wic\n", "{other}  y.wic\n{sum}  x.wic\n",
     "# made by hand\n{sum}  x.wic\n"],
)  # fmt: skip
def test_the_forms_of_a_sum(tmp_path: Path, text: str) -> None:
    """Those of sha256sum, and a bare one."""
    file = tmp_path / "x.wic"
    file.write_bytes(b"image")
    beside = tmp_path / "x.wic.sha256"
    beside.write_text(text.format(sum=DIGEST, SUM=DIGEST.upper(), other="0" * 64))
    assert image.verify_sha256(file) == beside
    file.write_bytes(b"imagE")
    with pytest.raises(ImageError, match="expected the SHA-256"):
        image.verify_sha256(file)


@pytest.mark.parametrize("text", ["", f"{DIGEST}  y.wic\n", f"{DIGEST}  x.wic\n{DIGEST}  x.wic\n", DIGEST[1:]])
def test_a_sum_that_is_not_this_files(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.wic"
    file.write_bytes(b"image")
    (tmp_path / "x.wic.sha256").write_text(text)
    with pytest.raises(ImageError, match=r"expected one line 'SHA256  x\.wic'"):
        image.verify_sha256(file)


def build(folder: Path, board: Board, rootfs: str = ".rootfs", age: int = 0, ending: str = ".tegraflash.zip") -> Path:
    """An image in a build directory, made ``age`` seconds ago."""
    file = folder / "deploy/images" / board.machine / f"wr-nvidia-k8s-image-{board.machine}{rootfs}{ending}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    os.utime(file, (10**9 - age, 10**9 - age))
    return file


def test_the_newest_image_of_the_builds_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAS_BUILD_DIR", raising=False)
    monkeypatch.setattr(image, "TOP", tmp_path / "checkout")
    board = BOARDS["jetson-orin-nano"]
    with pytest.raises(ImageMissing):
        image.find("jetson-orin-nano", board)
    of_checkout = build(tmp_path / "checkout/build/tmp", board)
    build(tmp_path / "checkout/build/tmp", BOARDS["jetson-nano"])  # another board's
    build(tmp_path / "checkout/build/tmp", board, rootfs="-initramfs")  # another image
    assert image.find("jetson-orin-nano", board) == of_checkout
    older = build(tmp_path / "build/tmp-glibc", board, age=2)
    assert image.find("jetson-orin-nano", board) == older  # of here, however new the checkout's is
    newer = build(tmp_path / "build/tmp", board, rootfs="", age=1)
    assert image.find("jetson-orin-nano", board) == newer
    newest = build(tmp_path / "build/tmp", board, ending=".tegraflash.tar.zst")
    assert image.find("jetson-orin-nano", board) == newest
    disk = build(tmp_path / "build/tmp", BOARDS["x86-64"], ending=".wic.gz")
    assert image.find("x86-64", BOARDS["x86-64"]) == disk


@pytest.mark.parametrize(
    ("name", "mine"),
    [
        ("wr-nvidia-k8s-image-intel-x86-64.rootfs.wic", True),
        ("wr-nvidia-k8s-image-intel-x86-64-20261128080000.wic.gz", True),
        ("wr-nvidia-k8s-image-intel-x86-64-rt.rootfs.wic", False),
        ("intel-x86-64.wic", False),
    ],
)
def test_whose_disk_image_it_is_by_its_name(tmp_path: Path, name: str, mine: bool) -> None:
    made, link = tmp_path / name, tmp_path / f"latest{''.join(Path(name).suffixes[-1:])}"
    made.touch()
    link.symlink_to(made)
    for path in (made, link):
        if mine:
            image.check_wic_machine(path, BOARDS["x86-64"])
        else:
            with pytest.raises(ImageError, match="expected the machine intel-x86-64"):
                image.check_wic_machine(path, BOARDS["x86-64"])


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_test_data_without_a_machine(tmp_path: Path, text: str) -> None:
    made = tmp_path / "x-intel-x86-64.wic.gz"
    made.touch()
    (tmp_path / "x-intel-x86-64.testdata.json").write_text(text)
    with pytest.raises(ImageError, match="expected MACHINE in "):
        image.check_wic_machine(made, BOARDS["x86-64"])


def test_an_image_that_may_not_be_read(place: Place) -> None:
    made = make(place.folder / "image", ORIN, place.folder / "sys")
    made.chmod(0)
    result = place.flash(ORIN.board, "--image", made, "--dry-run", prefix=as_user(place))
    assert result.code == 66
    assert f"{made} is not: chmod a+r" in result.stderr
