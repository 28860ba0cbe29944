# SPDX-License-Identifier: MIT
"""Other programs, run so that none of them outlives what it was started for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from wr_nvidia_k8s.common import reaper
from wr_nvidia_k8s.common.errors import CommandError, UserError


def run(
    command: Sequence[object], *, error: type[UserError] = CommandError, what: str = "", advice: str = "",
    **options: Any,
) -> str:
    """Run a command quietly and return its output; ``options`` go to subprocess.Popen.

    Raises ``error`` where it is not there or fails: that says ``what`` was being done, what the command said, and
    ``advice``. Interrupted, it ends with all that it has started.
    """
    words = [os.fspath(word) if isinstance(word, os.PathLike) else str(word) for word in command]
    if not shutil.which(words[0], path=options.get("env", os.environ).get("PATH")):
        raise error(_text(what, f"expected the command {words[0]}, found none; install its Debian package"))
    text = options.pop("input", None)
    stdin = subprocess.DEVNULL if text is None else subprocess.PIPE
    options = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "errors": "replace", **options}
    with supervised(words, **options) as process:
        output, complaint = process.communicate(text)
    if process.returncode:
        # apt's settings would fill the screen.
        shown = " ".join(word for word in words if not word.startswith("-o"))
        said = (complaint or output).strip()
        raise error(_text(what, f"{shown}: exit status {process.returncode}:\n{said}", advice))
    return str(output)


def _text(what: str, *lines: str) -> str:
    return "\n".join(line for line in (what and f"{what} failed", *lines) if line)


@contextmanager
def supervised(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A command that starts daemons: all of them end with it, with this context, and with this process.

    ``options`` go to subprocess.Popen. See `common.reaper`.
    """
    options = {"stdin": subprocess.DEVNULL, "start_new_session": True, **options}
    pass_fds = options.pop("pass_fds", ())
    end, held = os.pipe()
    wrapped = [sys.executable, "-IS", reaper.__file__, str(end), *command]
    try:
        with subprocess.Popen(wrapped, text=True, pass_fds=[end, *pass_fds], **options) as process:
            try:
                yield process
            except BaseException:
                os.close(held)
                held = -1
                raise
    finally:
        for descriptor in (end, held):
            if descriptor >= 0:
                os.close(descriptor)
