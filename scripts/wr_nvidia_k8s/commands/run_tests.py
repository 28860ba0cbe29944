# SPDX-License-Identifier: MIT
"""pytest for scripts/test, so that nothing that a test started outlives it: no BitBake, no virtual machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

from wr_nvidia_k8s.common.main import run_main
from wr_nvidia_k8s.common.process import supervised

_CLEAN_UP_SECONDS = 60.0


def main() -> int:
    """pytest's exit code. Interrupted, pytest reports and its fixtures clean up; what is left then is killed."""
    command = [sys.executable, "-m", "pytest", "--durations=20", *sys.argv[1:]]
    # At a terminal it stays in the foreground's process group: for --pdb, and Ctrl-C reaches it by itself.
    own_session = not sys.stdin.isatty()
    with supervised(command, stdin=None, start_new_session=own_session) as process:
        try:
            return process.wait()
        except (KeyboardInterrupt, SystemExit):
            if own_session:
                os.killpg(process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_CLEAN_UP_SECONDS)
            raise


if __name__ == "__main__":
    run_main(main)
