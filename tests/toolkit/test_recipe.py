# SPDX-License-Identifier: MIT
"""The recipes' own tasks in real BitBake, to the programs and the configuration.

Real: BitBake, the release's classes and DISTRO, the board's machine, the toolkit's source. Stood in for: Go by PyPI's
of the same version, the cross-compilers by Debian's, which also have the C library.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from toolkit import build
from toolkit.machine import setting
from wr_nvidia_k8s.build import kas
from wr_nvidia_k8s.build.kas import KasBuild
from wr_nvidia_k8s.common import cache

CONFIG = build.RECIPES / "nvidia-container-toolkit-config_1.0.bb"
BOARDS = {"jetson-orin-nano": "aarch64", "x86-64": "x86_64"}
# Nothing is built but the one recipe, without what it depends on.
SETTINGS = """
DL_DIR = "${TOPDIR}/../downloads"
PATCHTOOL = "patch"
SANITY_TESTED_DISTROS = ""
BB_DISKMON_DIRS = ""
"""
TOOLS = """
GO:forcevariable = "${GOROOT}/bin/go"
GOROOT:forcevariable = "${TOPDIR}/../go"
GOTOOLDIR:forcevariable = "${GOROOT}/pkg/tool/linux_amd64"
GOCACHE:forcevariable = "${TOPDIR}/../go-build"
TARGET_PREFIX = "@ARCH@-linux-gnu-"
TOOLCHAIN_OPTIONS = ""
HOSTTOOLS += "@ARCH@-linux-gnu-gcc"
# Newer than Debian's compiler.
DEBUG_PREFIX_MAP:remove = "-fcanon-prefix-map"
"""


@dataclass
class Recipes:
    """A build directory for a board."""

    kas: KasBuild
    arch: str

    def run(self, recipe: Path, task: str) -> Path:
        """Run a task with those before it, anew; returns the recipe's work folder."""
        self.kas.forget()
        with self.kas.popen(f"bitbake -b {recipe} -c {task}") as process:
            assert process.stdout is not None
            output = process.stdout.read()
        assert process.returncode == 0, output[-6000:]
        name, _, version = recipe.stem.partition("_")
        return next(self.kas.directory.glob(f"tmp*/work/*/{name}")) / version


def recipes(board: str, more: str) -> Recipes:
    files = [f"kas/{board}.yml", kas.OFFLINE]
    if trees := kas.missing_trees(kas.read(files)):
        pytest.skip(f"layer trees {', '.join(trees)} in {kas.LAYERS}: lay them out, see CONTRIBUTING.md")
    state = cache.root() / "toolkit" / "recipe" / board
    return Recipes(KasBuild(state, files, {"test": SETTINGS + more}), BOARDS[board])


@pytest.fixture(params=sorted(BOARDS))
def toolkit(request: pytest.FixtureRequest) -> Recipes:
    """With the source where BitBake downloads it to, and Go."""
    arch = BOARDS[request.param]
    compiler = f"{arch}-linux-gnu-gcc"
    if not shutil.which(compiler):
        pytest.skip(f"{compiler}: apt-get install gcc-{arch.replace('_', '-')}-linux-gnu")
    try_it = [compiler, "-E", "-include", "stdlib.h", "-x", "c", "/dev/null"]
    if subprocess.run(try_it, capture_output=True, check=False).returncode:
        pytest.skip(f"the C library's headers for {arch}: apt-get install libc6-dev-arm64-cross")
    origin, go = build.repository(), build.go()
    found = recipes(request.param, TOOLS.replace("@ARCH@", arch))
    state = found.kas.directory.parent
    downloads = state / "downloads" / "git2"
    shutil.rmtree(state / "downloads", ignore_errors=True)
    shutil.copytree(origin, downloads / "github.com.NVIDIA.nvidia-container-toolkit.git")
    if not (state / "go").exists():
        shutil.copytree(go, state / "go")
    (state / "go-build").mkdir(exist_ok=True)
    for path in [state / "go-build", state / "downloads", *(state / "downloads").rglob("*")]:
        found.kas.user.own(path)
    return found


def test_licences_are_those_of_the_source(toolkit: Recipes) -> None:
    toolkit.run(build.RECIPE, "populate_lic")


def test_programs_look_for_no_library_where_none_is(toolkit: Recipes) -> None:
    """go.bbclass gives every program a path to Go's shared libraries, which are in no image."""
    compiled = toolkit.run(build.RECIPE, "compile") / "build/bin"
    programs = [path for path in compiled.rglob("*") if path.is_file()]
    assert {path.name for path in programs} == set(build.PROGRAMS)
    for program in programs:
        with program.open("rb") as stream:
            dynamic = ELFFile(stream).get_section_by_name(".dynamic")
            assert isinstance(dynamic, DynamicSection)
            tags = {tag.entry.d_tag for tag in dynamic.iter_tags()}
        assert "DT_NEEDED" in tags
        assert not tags & {"DT_RPATH", "DT_RUNPATH"}, program.name


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(("board", "gpu", "mode"), [
    ("jetson-orin-nano", "tegra", "csv"), ("x86-64", "nvml", "cdi"), ("x86-64", "simulated", "csv"),
])  # fmt: skip
def test_configuration_is_for_how_the_gpu_is_reached(board: str, gpu: str, mode: str, secure: bool) -> None:
    more = f'WR_NVIDIA_K8S_GPU = "{gpu}"\nWR_NVIDIA_K8S_SECURE = "{int(secure)}"\n'
    made = recipes(board, more).run(CONFIG, "compile") / "build"
    assert (made / "config.toml").read_text() == setting(f"{mode}.toml", secure)
    libraries = "/usr/lib64" if "lib64" in (made / "nvidia-container-setup.service").read_text() else "/usr/lib"
    unit = setting("nvidia-container-setup.service").replace("/usr/lib ", f"{libraries} ")
    assert (made / "nvidia-container-setup.service").read_text() == unit
