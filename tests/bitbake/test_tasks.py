# SPDX-License-Identifier: MIT
"""Every recipe of ours goes through its real tasks, and what comes out is what a board gets.

Real: BitBake, the release's classes, DISTRO wrlinux, the boards' machines, our layer and sources, PyInstaller and the
other packages from PyPI, the cross-compiled bootloader, the rpm files. Stood in for by Debian's packages: the tools
and compilers of the build, and Python and the libraries on the target (stub-layer/).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from wr_nvidia_k8s.build import kas, plugin_package, task_build, task_sources
from wr_nvidia_k8s.build.task_build import Tasks
from wr_nvidia_k8s.common.paths import TOP

PLUGIN = "nvidia-device-plugin"
BINFMT = "/usr/lib/binfmt.d/qemu-aarch64.conf"
# What the release itself refuses: stub-layer/recipes-broken.
BROKEN = {
    "sample-foreign": ("package_qa", r"Architecture did not match .* in /usr/bin/sample-foreign \[arch\]"),
    "sample-stripped": ("package", r"was already stripped.* \[already-stripped\]"),
    "sample-unshipped": ("package", r"/opt/forgotten\n(.|\n)*\[installed-vs-shipped\]"),
}
# Recipes whose tasks need more than this: scripts/check-image resolves them.
ELSEWHERE = {
    "container-images-preload": "is made of the user's images: test_k3s.py has some",
    "data-disk": "is made for the user's disk: test_k3s.py names one",
    "nvidia-container-toolkit": "is compiled with Go: tests/toolkit has one",
    "nvidia-driver-compute": "unpacks NVIDIA's driver",
    "nvidia-open-kernel-modules": "are compiled against a kernel",
    "wr-nvidia-k8s-image": "is made of the packages of the whole release",
}
# Commands and files, and Debian's packages of them: the stand-ins' own, then what BitBake asks of any host.
NEEDED = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu", "cpio": "cpio", "protoc": "protobuf-compiler", "pseudo": "pseudo",
    "quilt": "quilt", "rpm": "rpm", "rpm2cpio": "rpm2cpio", "unzip": "unzip", "x86_64-linux-gnu-gcc": "gcc",
    "/usr/include/elfutils/libdw.h": "libdw-dev", BINFMT: "qemu-user-static",
    "bzip2": "bzip2", "chrpath": "chrpath", "diffstat": "diffstat", "file": "file", "g++": "g++", "gawk": "gawk",
    "git": "git", "lz4c": "lz4", "make": "make", "patch": "patch", "wget": "wget", "zstd": "zstd",
}  # fmt: skip


def recipes() -> dict[str, str]:
    """Our recipes by name, with their text."""
    files = [path for folder in task_sources.OWN_RECIPES for path in folder.rglob("*.bb")]
    return {path.stem.partition("_")[0]: path.read_text() for path in files}


def runnable(arch: str) -> list[str]:
    """The recipes whose tasks can run for ``arch``: Jetson's own only for a Jetson."""
    only_tegra = 'COMPATIBLE_MACHINE = "(tegra)"'
    return sorted(
        name
        for name, text in recipes().items()
        if name not in ELSEWHERE and not (only_tegra in text and arch != "arm64")
    )


@pytest.fixture(scope="module", params=sorted(task_build.BOARDS))
def arch(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tasks(arch: str, tmp_path_factory: pytest.TempPathFactory) -> Tasks:
    """All tasks of this file, in one run of BitBake."""
    packages = [package for name, package in NEEDED.items() if not (shutil.which(name) or Path(name).is_file())]
    if packages:
        pytest.skip(f"{', '.join(packages)}: apt-get install {' '.join(packages)}")
    if missing := task_build.missing(arch):
        pytest.skip(f"layer trees {', '.join(missing)}: lay them out in {kas.LAYERS}")
    found = task_build.build(arch, [*runnable(arch), *BROKEN], tmp_path_factory.mktemp(arch) / "results")
    complaints = "\n".join(message.text for message in found.log.errors)
    assert found.started, f"expected BitBake to run tasks, it ran none:\n{complaints}"
    return found


@pytest.fixture(scope="module")
def root(arch: str, tasks: Tasks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system that holds the C library, and the plugin's package unpacked into it."""
    folder = tmp_path_factory.mktemp(f"root-{arch}")
    for name in ("usr/bin", "usr/lib"):
        (folder / name).mkdir(parents=True)
    for name in ("bin", "lib"):
        (folder / name).symlink_to(f"usr/{name}")
    (library,) = task_sources.debs(arch).glob("libc6_*.deb")
    unpack = ["tar", "-x", "-C", str(folder), "--keep-directory-symlink", "--no-same-owner"]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", library], stdout=subprocess.PIPE) as extracted:
        subprocess.run(unpack, stdin=extracted.stdout, check=True)
    assert extracted.returncode == 0
    (rpm,) = tasks.rpms(PLUGIN)
    plugin_package.from_rpm(rpm, folder)
    return folder


def run(root: Path, arch: str, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the target in ``root``, in namespaces of its own; arm64 ones under qemu-user."""
    room = Path(__file__).resolve().parents[1] / "freeze" / "room.sh"
    binfmt = BINFMT if arch == "arm64" else "/dev/null"
    shared = root.parent / "shared"
    shared.mkdir(exist_ok=True)
    return subprocess.run(
        [str(room), str(root), str(shared), binfmt, program, *arguments],
        capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip


@pytest.mark.parametrize("recipe", sorted({name for arch in task_build.BOARDS for name in runnable(arch)}))
def test_recipe_becomes_a_package(arch: str, tasks: Tasks, recipe: str) -> None:
    if recipe not in runnable(arch):
        pytest.skip(f"{recipe}: is for a Jetson, whose run is arm64's")
    assert tasks.complaints(recipe) == []
    missed = [step for step in task_build.STEPS if not tasks.succeeded(recipe, step)]
    assert missed == [], f"expected do_{missed} of {recipe} to have run; BitBake's output is in {tasks.results}/output"
    assert tasks.rpms(recipe)


@pytest.mark.parametrize("recipe", sorted(BROKEN))
def test_what_is_wrong_with_a_package_is_found(tasks: Tasks, recipe: str) -> None:
    step, complaint = BROKEN[recipe]
    assert (recipe, step) in tasks.failed
    assert re.search(complaint, "\n".join(tasks.complaints(recipe)))


def test_nothing_else_fails(tasks: Tasks) -> None:
    """A stand-in that fails in silence would make the other tests say less than they seem to."""
    assert {recipe for recipe, _ in tasks.failed} == set(BROKEN)
    said = [message.text for message in tasks.log.errors]
    assert [text for text in said if not any(recipe in text for recipe in BROKEN)] == []


def test_frozen_plugin_runs_from_its_package(root: Path, arch: str) -> None:
    source = TOP / "plugin-src" / "nvidia_device_plugin" / "__init__.py"
    version = re.search(r'__version__ = "(.*)"', source.read_text())
    assert version
    started = run(root, arch, f"/usr/bin/{PLUGIN}", "--version")
    assert started.returncode == 0, started.stderr
    assert version[1] in started.stdout + started.stderr
    helped = run(root, arch, f"/usr/bin/{PLUGIN}", "--help")
    assert helped.returncode == 0, helped.stderr
    assert "--kubelet-socket" in helped.stdout


def test_plugin_package_has_the_service_and_its_configuration(root: Path, arch: str, tasks: Tasks) -> None:
    (rpm,) = tasks.rpms(PLUGIN)
    query = ["rpm", "--query", "--package", str(rpm)]
    files = subprocess.run([*query, "--list"], capture_output=True, text=True, check=True).stdout.splitlines()
    configuration = subprocess.run([*query, "--configfiles"], capture_output=True, text=True, check=True).stdout.split()
    source = TOP / "recipes-containers" / PLUGIN / "files"
    assert configuration == [f"/etc/{PLUGIN}/config.yaml"]
    strategy = {"amd64": "volume-mounts", "arm64": "envvar"}[arch]  # by the machine's WR_NVIDIA_K8S_SECURE
    assert f"deviceListStrategy: {strategy}\n" in (root / f"etc/{PLUGIN}/config.yaml").read_text()
    unit = f"/usr/lib/systemd/system/{PLUGIN}.service"
    assert unit in files
    assert (root / unit.lstrip("/")).read_text() == (source / f"{PLUGIN}.service").read_text()
    preset = (root / f"usr/lib/systemd/system-preset/98-{PLUGIN}.preset").read_text()
    assert preset == f"enable {PLUGIN}.service\n"
    assert (root / "usr/bin" / PLUGIN).resolve() == root / "usr/libexec" / PLUGIN / PLUGIN
    limits = f"/usr/lib/sysctl.d/60-{PLUGIN}.conf"
    assert limits in files
    assert (root / limits.lstrip("/")).read_text() == (source / f"60-{PLUGIN}.conf").read_text()
    ours = (f"/usr/libexec/{PLUGIN}", "/etc", "/usr/lib/systemd", "/usr/lib/sysctl.d")
    outside = [name for name in files if not name.startswith(ours)]
    assert outside == ["/usr", "/usr/bin", f"/usr/bin/{PLUGIN}", "/usr/lib", "/usr/libexec"]


def test_bundled_libraries_are_nobody_elses(tasks: Tasks) -> None:
    """Neither does the package offer them to others, nor does it ask for Python or for what is bundled."""
    (rpm,) = tasks.rpms(PLUGIN)
    names = {}
    for kind in ("provides", "requires"):
        query = ["rpm", "--query", "--package", str(rpm), f"--{kind}"]
        text = subprocess.run(query, capture_output=True, text=True, check=True).stdout
        names[kind] = {line.split()[0] for line in text.splitlines() if not line.startswith(("rpmlib", "config("))}
    assert names["provides"] == {PLUGIN}
    assert names["requires"] <= {"/bin/sh", "glibc"}


def test_sbom_names_what_is_bundled(tasks: Tasks, root: Path) -> None:
    (document,) = tasks.results.glob(f"spdx/*/*/packages/{PLUGIN}.spdx.json")
    packages = {package["name"] for package in json.loads(document.read_text())["packages"]}
    internal = root / "usr/libexec" / PLUGIN / "_internal"
    owners = {"libz.so.1": "zlib", "libssl.so.3": "openssl", "libstdc++.so.6": "gcc-runtime", "libffi.so.8": "libffi"}
    bundled = {owner for library, owner in owners.items() if (internal / library).exists()}
    assert len(bundled) > 2
    assert packages >= bundled | {PLUGIN, "python3", "python3-grpcio", "python3-protobuf", "pyinstaller-bootloader"}
