# SPDX-License-Identifier: MIT
"""NVIDIA's driver for cards in a PC, as BitBake sees and installs it."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.build.kas import KasBuild
from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.paths import TOP
from wr_nvidia_k8s.lab import nvidia_archive

HERE = Path(__file__).resolve().parent
RECIPES = TOP / "meta-wr-nvidia-k8s" / "recipes-graphics" / "nvidia-driver"
LIBRARIES = RECIPES / "nvidia-driver-compute_1.0.bb"
MODULES = RECIPES / "nvidia-open-kernel-modules_1.0.bb"
PC = str((HERE / "x86-64.yml").relative_to(TOP))
ACCEPTED = {"LICENSE_FLAGS_ACCEPTED": "nvidia-driver"}


def build_directory(name: str, files: Sequence[str], settings: str = "") -> KasBuild:
    """A build directory of its own, or the test is skipped with what is missing to have one."""
    missing = kas.missing_trees(kas.read(files))
    if missing:
        pytest.skip(
            f"layer trees {', '.join(missing)} in {kas.LAYERS}: "
            f"KAS_WORK_DIR={kas.LAYERS} kas checkout {':'.join(files)}"
        )
    return KasBuild(cache.root() / name, [*files, kas.OFFLINE], {"test": settings} if settings else None)


def run(build: KasBuild, command: str) -> tuple[int, str]:
    with build.popen(command) as process:
        assert process.stdout is not None
        output = process.stdout.read()
    return process.returncode, output


def parse(build: KasBuild, *questions: dict[str, Any]) -> list[dict[str, str]]:
    """The answers of parse_recipes.py, which says what a question is."""
    (build.directory.parent / "questions.json").write_text(json.dumps(questions, default=str))
    libraries = kas.LAYERS / "bitbake" / "lib"
    status, output = run(build, f"PYTHONPATH={libraries} python3 {HERE}/parse_recipes.py ../questions.json")
    assert status == 0, output
    answers: list[dict[str, str]] = json.loads(output.rsplit("recipes as JSON: ", 1)[1])
    return answers


@pytest.fixture(scope="module")
def pc() -> KasBuild:
    """The build directory of a 64-bit PC."""
    return build_directory("nvidia-stack/pc", [PC])


def test_one_version_makes_the_whole_driver(pc: KasBuild) -> None:
    read = ["PV", "SRC_URI", "SRCREV", "S"]
    other = {**ACCEPTED, "NVIDIA_DRIVER_VERSION": "600.1.2"}
    modules, libraries, other_modules, other_libraries = parse(
        pc,
        {"recipe": MODULES, "read": read},
        {"recipe": LIBRARIES, "read": read, "settings": ACCEPTED},
        {"recipe": MODULES, "read": read, "settings": other},
        {"recipe": LIBRARIES, "read": read, "settings": other},
    )
    assert modules["PV"] == libraries["PV"]
    assert re.fullmatch(r"\d+(\.\d+){1,2}", modules["PV"])
    assert re.fullmatch(r"[0-9a-f]{40}", modules["SRCREV"]), "expected a commit, which says what is built"
    assert other_modules["PV"] == other_libraries["PV"] == "600.1.2"
    assert "/600.1.2/NVIDIA-Linux-x86_64-600.1.2.run" in other_libraries["SRC_URI"]
    assert modules["PV"] not in other_libraries["SRC_URI"] + other_libraries["S"]


def test_nvidias_licence_must_be_accepted_by_its_own_name(pc: KasBuild) -> None:
    questions = [{"recipe": LIBRARIES, "settings": {"LICENSE_FLAGS_ACCEPTED": flags}}
                 for flags in ("", "commercial", "nvidia-driver")]  # fmt: skip
    modules, *libraries = parse(pc, {"recipe": MODULES}, *questions)
    assert modules["skipped"] is None, "expected the open modules to need nobody's acceptance"
    nobody, others, accepted = (answer["skipped"] for answer in libraries)
    for reason in (nobody, others):
        assert reason and "'nvidia-driver'" in reason and "LICENSE_FLAGS_ACCEPTED" in reason
    assert accepted is None


@pytest.mark.parametrize("board", [board for board in kas.images() if board.startswith("jetson")])
def test_a_jetson_never_sees_the_driver_for_cards(board: str) -> None:
    build = build_directory(f"nvidia-stack/{board}", [f"kas/{board}.yml"])
    for answer in parse(build, *({"recipe": recipe, "settings": ACCEPTED} for recipe in (MODULES, LIBRARIES))):
        assert answer["skipped"] and "incompatible with host" in answer["skipped"]


@dataclass
class Unpacked:
    """A build directory, and a stand-in for NVIDIA's archive among its downloads."""

    build: KasBuild
    archive: nvidia_archive.Archive
    version: str

    def task(self, name: str) -> tuple[int, str]:
        """Run one task of the recipe anew, with those before it but without those of other recipes."""
        self.build.forget()
        return run(self.build, f"bitbake -b {LIBRARIES} -c {name}")

    @property
    def work(self) -> Path:
        return next(self.build.directory.glob("tmp*/work/*/nvidia-driver-compute")) / self.version


def with_archive(version: str, *, sha256: str | None = None, script: bytes | None = None) -> Unpacked:
    for program in ("gcc", "zstd", "pseudo"):
        if not shutil.which(program):
            pytest.skip(f"{program}: apt-get install {program}")
    state = cache.root() / "nvidia-stack" / "archive"
    downloads, pseudo = state / "downloads", state / "pseudo"
    shutil.rmtree(downloads, ignore_errors=True)
    for folder in (downloads, pseudo / "usr" / "bin", pseudo / "usr" / "lib" / "pseudo" / "lib64"):
        folder.mkdir(parents=True, exist_ok=True)
    # Debian's pseudo, laid out as BitBake has its own.
    for file in [*Path("/usr/bin").glob("pseudo*"), *Path("/usr/lib").glob("*/pseudo/libpseudo.so")]:
        shutil.copy2(file, pseudo / "usr" / ("bin" if file.parent.name == "bin" else "lib/pseudo/lib64"))
    made = nvidia_archive.make(downloads, version, *([script] if script else []))
    settings = {
        **ACCEPTED,
        "DL_DIR": downloads,
        "NVIDIA_DRIVER_VERSION": version,
        "NVIDIA_DRIVER_SHA256": sha256 or made.sha256,
        "NVIDIA_DRIVER_LICENSE_MD5": made.license_md5,
        "PSEUDO_SYSROOT": pseudo,
        "READELF": "readelf",
    }
    lines = "".join(f'{name} = "{value}"\n' for name, value in settings.items())
    build = build_directory("nvidia-stack/archive", [PC], lines)
    for path in (downloads, made.path):
        build.user.own(path)
    return Unpacked(build, made, version)


def test_what_computing_needs_of_nvidias_archive_is_installed_and_nothing_else() -> None:
    version = "600.1.2"
    unpacked = with_archive(version)
    status, output = unpacked.task("install")
    assert status == 0, output
    root = unpacked.work / "image"
    files = {str(path.relative_to(root)): path for path in root.rglob("*") if not path.is_dir()}
    libraries = {
        name.format(version): soname.format(version) for name, soname in nvidia_archive.LIBRARIES.items()
    }
    links = {soname for name, soname in libraries.items() if soname != name} | {"libcuda.so", "libnvidia-ml.so"}
    assert sorted(files) == sorted(
        [f"usr/lib/{name}" for name in {*libraries, *links}]
        + [f"usr/bin/{tool}" for tool in nvidia_archive.TOOLS]
        + [f"usr/lib/firmware/nvidia/{version}/{name}" for name in nvidia_archive.FIRMWARE]
        + ["usr/lib/udev/rules.d/70-nvidia.rules", "usr/lib/systemd/system/nvidia-persistenced.service"]
    )
    for name, soname in libraries.items():
        assert (root / "usr/lib" / soname).resolve() == root / "usr/lib" / name
    for path in files.values():
        assert not path.stat().st_mode & 0o6000, f"{path}: setuid"
    assert "@" not in re.sub(r"(?m)^#.*", "", files["usr/lib/systemd/system/nvidia-persistenced.service"].read_text())


def test_an_archive_of_another_checksum_is_refused() -> None:
    unpacked = with_archive("600.1.3", sha256="0" * 64)
    before = unpacked.archive.path.read_bytes()
    status, output = unpacked.task("unpack")
    assert status != 0
    assert "Checksum mismatch" in output, output
    kept = list(unpacked.archive.path.parent.glob(f"{unpacked.archive.path.name}*"))
    assert any(path.is_file() and path.read_bytes() == before for path in kept)


def test_an_archive_of_another_form_is_refused_with_what_was_expected() -> None:
    unpacked = with_archive("600.1.4", script=b"#!/bin/sh\nexit 1\n")
    status, output = unpacked.task("unpack")
    assert status != 0
    assert f"{unpacked.archive.path.name}: expected a line skip=NUMBER" in output, output


def test_systemd_finds_nothing_to_complain_about_in_the_drivers_unit(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze: apt-get install systemd")
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    (tmp_path / "usr/bin").mkdir()
    for tool in nvidia_archive.TOOLS:
        (tmp_path / "usr/bin" / tool).touch(mode=0o755)
    unit = (RECIPES / "nvidia-driver-compute" / "nvidia-persistenced.service").read_text()
    (units / "nvidia-persistenced.service").write_text(unit.replace("@BINDIR@", "/usr/bin"))
    for name in ("sysinit.target", "basic.target", "shutdown.target", "-.mount", "tmp.mount", "var.mount"):
        text = f"[Mount]\nWhat=tmpfs\nWhere=/{name.removesuffix('.mount').strip('-')}\n"
        (units / name).write_text("[Unit]\nDescription=stand-in\n" + (text if name.endswith(".mount") else ""))
    command = ["systemd-analyze", "verify", "--man=no", f"--root={tmp_path}", "nvidia-persistenced.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "nvidia-persistenced" in line]
    assert done.returncode == 0 and not complaints, done.stderr
