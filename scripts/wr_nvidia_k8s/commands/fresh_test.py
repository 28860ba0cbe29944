# SPDX-License-Identifier: MIT
"""scripts/test --fresh: the suite in a fresh Debian."""

from __future__ import annotations

import sys

from wr_nvidia_k8s.common.main import run_main
from wr_nvidia_k8s.lab import fresh


def main() -> int:
    """What scripts/test ends with there; 69 where there can be none."""
    return fresh.run(["scripts/test", *sys.argv[1:]])


if __name__ == "__main__":
    run_main(main)
