# SPDX-License-Identifier: MIT
"""scripts/test --fresh: the suite in a fresh Debian."""

from __future__ import annotations

import signal
import sys

from wr_nvidia_k8s.lab import fresh

if __name__ == "__main__":
    # As on Ctrl-C: what was made is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(fresh.main(sys.argv[1:]))
