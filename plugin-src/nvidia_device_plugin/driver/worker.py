# SPDX-License-Identifier: MIT
"""The process that asks NVML (NVIDIA, "NVML API Reference Guide") and ends: the only one that loads the library.

It writes one JSON object to stdout: {"driver": VERSION, "gpus": [...]}, or {"error": TEXT, "code": NVML's}. A GPU
that cannot be read has a "fault" in place of its properties, and costs the others nothing.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

COMMAND = "nvml-worker"


def main(library: str, seconds: int) -> int:
    """Ask the library at that path. A call that hangs ends the process after so many seconds."""
    signal.alarm(seconds)
    # What the library prints must not mix with the answer.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with answer:
        json.dump(_ask(library), answer)
    return 0


def _ask(library: str) -> dict[str, Any]:
    import ctypes

    import pynvml

    try:
        # pynvml opens the library by its bare name; the loader gives it the copy that is already there.
        ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
        pynvml.nvmlInit()
    except (OSError, pynvml.NVMLError) as error:
        return {"error": f"{error}", "code": getattr(error, "value", None)}
    try:
        return {"driver": _text(pynvml.nvmlSystemGetDriverVersion()),
                "gpus": [_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]}
    except pynvml.NVMLError as error:
        return {"error": f"{error}", "code": error.value}
    finally:
        pynvml.nvmlShutdown()


def _gpu(pynvml: Any, index: int) -> dict[str, Any]:
    found: dict[str, Any] = {"index": index}
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        found["name"] = _text(pynvml.nvmlDeviceGetName(handle))
        found["uuid"] = _text(pynvml.nvmlDeviceGetUUID(handle))
        found["minor"] = pynvml.nvmlDeviceGetMinorNumber(handle)
        found["bus_id"] = _text(pynvml.nvmlDeviceGetPciInfo(handle).busId).lower()
    except pynvml.NVMLError as error:
        found["fault"] = f"NVML: {error}"
    return found


def is_integrated(name: str) -> bool:
    """Whether NVML's name of a GPU is that of a Tegra's own, as NVIDIA's go-nvlib (pkg/nvlib/info) decides it."""
    return "(nvgpu)" in name or "NVIDIA Thor" in name


def _text(value: str | bytes) -> str:
    """pynvml gives bytes or text, depending on its release."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
