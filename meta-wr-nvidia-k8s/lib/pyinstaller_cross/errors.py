# SPDX-License-Identifier: MIT
"""The kind of error that the user can fix."""

from __future__ import annotations


class FreezeError(Exception):
    """What was expected, what was found, where, and what to do."""


class VerificationError(FreezeError):
    """The frozen program would not run on the target, or contains paths of the build machine.

    ``problems`` holds one sentence each.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        noun = "problem" if len(problems) == 1 else "problems"
        super().__init__(f"{len(problems)} {noun} in the frozen program:\n" + "\n".join(f"  - {p}" for p in problems))
