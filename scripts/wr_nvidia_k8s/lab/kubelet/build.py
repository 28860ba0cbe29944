# SPDX-License-Identifier: MIT
"""A real kubelet and the container runtime below it, made once into the cache.

The kubelet is built from Debian's source package ``kubernetes`` (1.20.2 with Debian's patches), the last one
that needs nothing but what the archive holds, by Debian's Go 1.19; containerd, runc and busybox are Debian's
binaries. All of it is fetched and unpacked beside the system: nothing gets installed, so a Docker Engine
that is already here is not replaced, and no service starts.

The cache folder appears in one piece: it is complete where it exists.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.errors import UserError
from wr_nvidia_k8s.debian.archive import Archive

SUITE = "bookworm"  # has kubernetes 1.20 and a Go that builds it; later releases have neither
GO = "golang-1.19"
REPOSITORY = "k8s.io/kubernetes"
PACKAGE = f"{REPOSITORY}/cmd/kubelet"
RUNTIME = {  # package: its files that the kubelet needs
    "containerd": ("usr/bin/containerd", "usr/bin/containerd-shim-runc-v2", "usr/bin/ctr"),
    "runc": ("usr/sbin/runc",),
    "busybox-static": ("bin/busybox",),
}
PROGRAMS = ("kubelet", *(Path(file).name for files in RUNTIME.values() for file in files))
_SCRATCH = "kubelet-build-"


class BuildError(UserError):
    """The kubelet cannot be built; the text says at which step."""


def folder() -> Path:
    """Where the built programs are, or will be: ``kubelet`` and its runtime, side by side."""
    return cache.root() / "kubelet"


def missing() -> list[str]:
    """The programs that are not in the cache yet."""
    return [name for name in PROGRAMS if not os.access(folder() / name, os.X_OK)]


def build() -> None:
    """Fill the cache where it is not filled yet. Raises DebianError or BuildError."""
    target = folder()
    with cache.alone(target.parent / "kubelet.lock", "build of the kubelet"):
        for leftover in target.parent.glob(f"{_SCRATCH}*"):  # of a build that was killed: we hold the lock
            shutil.rmtree(leftover)
        if not missing():
            return
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=target.parent) as name:
            _build(Path(name), target)


def _build(scratch: Path, target: Path) -> None:
    started = time.monotonic()
    _say(f"fetching Debian {SUITE}'s kubernetes source, Go and containerd (165 MB)")
    archive = Archive(SUITE, scratch)
    version = archive.source("kubernetes", scratch / "gopath/src/k8s.io/kubernetes")
    archive.binary([f"{GO}-go", f"{GO}-src", *RUNTIME], scratch / "root")
    result = scratch / "result"
    result.mkdir(mode=0o755)
    for files in RUNTIME.values():
        for file in files:
            shutil.copy(scratch / "root" / file, result)
    _say(f"building the kubelet of kubernetes {version} (about 7 minutes of processor time)")
    _compile(scratch, result / "kubelet", version)
    if target.exists():  # incomplete, or from before a program was added
        shutil.rmtree(target)
    result.rename(target)
    size = (target / "kubelet").stat().st_size / 1e6
    _say(f"{target / 'kubelet'}: {size:.0f} MB in {time.monotonic() - started:.0f} s")


def _compile(scratch: Path, output: Path, version: str) -> None:
    release = version.split("really")[-1].split("-")[0]  # 1.20.5+really1.20.2-1 is 1.20.2
    root = scratch / "root/usr/lib" / GO.replace("golang", "go")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(scratch),
        "GOROOT": str(root),
        "GOPATH": str(scratch / "gopath"),
        "GOCACHE": str(scratch / "gocache"),
        "GOTMPDIR": str(scratch),  # /tmp may be small, or in memory
        "GO111MODULE": "off",  # everything is vendored, and Go must not look for modules in the network
        "GOFLAGS": "",
        "CGO_ENABLED": "0",  # as debian/rules has it; needs no C compiler
    }
    go = ["nice", str(root / "bin/go")]
    listing = [*go, "list", "-deps", PACKAGE]
    listed = subprocess.run(listing, env=environment, cwd=scratch, capture_output=True, text=True)
    total = len(listed.stdout.splitlines())
    link = f"-s -w -X {REPOSITORY}/vendor/k8s.io/component-base/version.gitVersion=v{release}"
    command = [*go, "build", "-v", "-trimpath", "-ldflags", link, "-o", str(output), PACKAGE]
    lines: list[str] = []
    with subprocess.Popen(command, env=environment, cwd=scratch, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None  # noqa: S101 -- PIPE above
        try:
            for line in process.stderr:  # with -v one line per package as it is compiled, and the errors
                lines.append(line)
                if len(lines) % 100 == 0:
                    _say(f"  {len(lines)} of about {total} packages compiled")
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise BuildError(f"{' '.join(command)}: exit status {process.returncode}\n{''.join(lines[-20:])}")


def _say(text: str) -> None:
    cache.say(f"build-kubelet: {text}")
