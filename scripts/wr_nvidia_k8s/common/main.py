# SPDX-License-Identifier: MIT
"""How every command of scripts/ begins and ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from wr_nvidia_k8s.common.errors import UserError

SIGNALLED = 128
"""Exit codes above it name the signal that ended the command, as a shell's do."""


def run_main(main: Callable[[], int]) -> NoReturn:
    """Run a command's ``main`` and end the process with its exit code.

    A `UserError` becomes its text and its exit code, an OSError one line and 1. Interrupted (Ctrl-C, SIGTERM, a closed
    terminal), the command cleans up and ends with 130, 143 or 129; a reader of its output that goes away ends it
    with 141.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup(1) has SIGHUP ignored
            signal.signal(number, _end)
    try:
        try:
            code = main()
        finally:  # argparse ends with SystemExit after --help
            sys.stdout.flush()
    except UserError as error:
        code = _say(f"error: {error}", error.exit_code)
    except BrokenPipeError:
        # What is still in the buffer has no reader: the interpreter would fail to write it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = SIGNALLED + signal.SIGPIPE
    except OSError as error:
        code = _say(f"error: {error.filename or 'the system'}: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        code = _say("interrupted", SIGNALLED + signal.SIGINT)
    sys.exit(code)


def _end(number: int, _: FrameType | None) -> NoReturn:
    """Unwind as for Ctrl-C. What cleans up is not to be stopped halfway by a second signal of the kind."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(SIGNALLED + number)


def _say(text: str, code: int) -> int:
    with contextlib.suppress(OSError):  # standard error may be gone as well
        print(text, file=sys.stderr, flush=True)
    return code
