# SPDX-License-Identifier: MIT
"""Why flashing stopped. Each reason has its exit code (sysexits.h where one fits); `flash.main` turns them into it."""

from __future__ import annotations

import os

from wr_nvidia_k8s.common.errors import UserError


class FlashError(UserError):
    """Nothing was written, unless the class says otherwise. The text: what was expected, what was found, what to do."""

    exit_code = 1


class UsageError(FlashError):
    """The options do not go together, or not with this board."""

    exit_code = 2


class ImageError(FlashError):
    """The image is damaged, is another board's, or is no image at all."""

    exit_code = os.EX_DATAERR


class ImageMissing(FlashError):
    """There is no such file."""

    exit_code = os.EX_NOINPUT


class HostError(FlashError):
    """This machine lacks something: a command, room on the disk, the right processor."""

    exit_code = os.EX_UNAVAILABLE


class NoBoard(FlashError):
    """No such board, or more than one, is in recovery mode on USB."""

    exit_code = os.EX_TEMPFAIL


class Refused(FlashError):
    """The device must not be written, or the user did not confirm, or sudo gave no root."""

    exit_code = os.EX_NOPERM


class StepFailed(FlashError):
    """Writing began and did not end well: what is on the target is incomplete."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or the signal that is its argument, came after writing began: what is on the target is incomplete."""


class Problems(FlashError):
    """Several at once, the one whose exit code counts first."""

    def __init__(self, problems: list[FlashError]) -> None:
        super().__init__(
            f"{len(problems)} problems\n" + "\n".join(f"{number}. {error}" for number, error in enumerate(problems, 1))
        )
        self.exit_code = problems[0].exit_code
