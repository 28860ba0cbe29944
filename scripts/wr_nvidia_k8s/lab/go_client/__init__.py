# SPDX-License-Identifier: MIT
"""A client of the device plugin API in Go, as the kubelet is one, where there is a Go to build it with."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from wr_nvidia_k8s.common import cache
from wr_nvidia_k8s.common.process import run

_SOURCES = ("go.mod", "go.sum", "main.go")


def program() -> Path | None:
    """The built client; None where there is no Go. Built once into the cache, from modules of the Go module proxy."""
    if not shutil.which("go"):
        return None
    folder = Path(__file__).parent
    key = hashlib.sha256(b"".join((folder / name).read_bytes() for name in _SOURCES)).hexdigest()[:16]
    target = cache.root() / "go-client" / key / "go_client"
    with cache.alone(target.parent.parent / ".lock", "build of the client in Go"):
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as name:
                built = Path(name) / target.name
                run(["go", "build", "-mod=readonly", "-trimpath", "-o", built, "."], what="building the client in Go",
                    advice="without Go on the PATH its figures are left out", cwd=folder,
                    env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local"})
                built.replace(target)
    return target


def latencies(client: Path, socket: Path, method: str, request: bytes, calls: int) -> list[float]:
    """How long each of the calls took, in microseconds."""
    output = run([client, socket, method, calls], input=request.decode("latin-1"), encoding="latin-1",
                 what="calling the plugin from Go")
    return [int(line) / 1e3 for line in output.split()]
