# SPDX-License-Identifier: MIT
"""What comes out of an archive: the same files in each format, programs still programs, and nothing more than that."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from wr_nvidia_k8s.flash import archive
from wr_nvidia_k8s.flash.error import ImageError

FILES = {"doflash.sh": b"#!/bin/sh\n", "bsp_version": b"BSP_BRANCH=36\n", "tools/deep/tool.bin": b"tool"}


def tarball(path: Path) -> Path:
    """Folders, links and files, owned by somebody else, as `tar -c .` makes it: every name begins with ./."""
    with tarfile.open(path, "w:gz") as tar:
        for folder in (".", "./tools", "./tools/deep"):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(member)
        for name, data in FILES.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size, member.mode, member.uid, member.gid = len(data), 0o755, 1234, 1234
            tar.addfile(member, io.BytesIO(data))
        for name, kind, target in (("soft", tarfile.SYMTYPE, "bsp_version"), ("hard", tarfile.LNKTYPE, "./doflash.sh")):
            member = tarfile.TarInfo(f"./{name}")
            member.type, member.linkname, member.mode = kind, target, 0o755
            tar.addfile(member)
    return path


def zipped(path: Path, *more: tuple[str, int, bytes]) -> Path:
    """The same, and ``more`` members (name, mode, data). Only one of the folders is a member of its own."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(zipfile.ZipInfo("tools/"), b"")
        for name, mode, data in [*((name, stat.S_IFREG | 0o755, data) for name, data in FILES.items()), *more]:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            file.writestr(info, data)
    return path


@pytest.fixture(params=["x.tegraflash.tar.gz", "x.tegraflash.zip"])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    return zipped(path) if path.suffix == ".zip" else tarball(path)


def test_each_file_is_known_and_unpacked(image: Path, tmp_path: Path) -> None:
    contents = archive.read(image)
    assert contents.sizes == {name: len(data) for name, data in FILES.items()}
    assert contents.data == sum(map(len, FILES.values()))
    assert contents.texts == {name: FILES[name].decode() for name in ("doflash.sh", "bsp_version")}
    into = tmp_path / "into"
    into.mkdir()
    archive.unpack(image, into)
    for name, data in FILES.items():
        file = into / name
        assert file.read_bytes() == data
        assert os.access(file, os.X_OK)
        assert (file.stat().st_uid, file.stat().st_gid) == (os.getuid(), os.getgid())
    if image.suffix == ".gz":
        assert (into / "soft").readlink() == Path("bsp_version")
        assert (into / "hard").samefile(into / "doflash.sh")


@pytest.mark.parametrize(("mode", "unpacked"), [(0o4777, 0o755), (0o000, 0o600), (0o644, 0o644)])
def test_a_zip_gives_no_rights_to_others(tmp_path: Path, mode: int, unpacked: int) -> None:
    image = zipped(tmp_path / "x.zip", ("odd", stat.S_IFREG | mode, b"odd"))
    archive.unpack(image, tmp_path)
    assert stat.S_IMODE((tmp_path / "odd").stat().st_mode) == unpacked


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    image = zipped(tmp_path / "x.zip", ("link", stat.S_IFLNK | 0o777, b"/etc"))
    with pytest.raises(ImageError, match="found the symbolic link 'link'"):
        archive.read(image)


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("tool.py", "import sys\nimport yaml\n", True),
        ("tool.py", "def load():\n    from yaml import safe_load\n", True),
        ("tool.py", "import yamllint\n# import of yaml\n", False),
        ("tool.txt", "import yaml\n", False),
        ("tests/tool.py", "import yaml\n", False),
    ],
)
def test_yaml_is_wanted_by_programs_at_the_top_that_import_it(
    tmp_path: Path, name: str, text: str, wanted: bool
) -> None:
    image = zipped(tmp_path / "x.zip", (name, stat.S_IFREG | 0o644, text.encode()),
                   ("zz.py", stat.S_IFREG | 0o644, b"import sys\n"))  # fmt: skip
    assert archive.read(image).imports_yaml is wanted
