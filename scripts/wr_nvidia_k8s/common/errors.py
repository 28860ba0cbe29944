# SPDX-License-Identifier: MIT
"""The root of all errors that are the user's to mend, and what they mean to a shell.

The text says what was expected, what was found, where, and what to do. `common.main` prints it and ends with the exit
code; whoever needs to tell one kind from another has a class of its own below this one.
"""

from __future__ import annotations

import os


class UserError(Exception):
    """Something outside of this program is not as it has to be."""

    exit_code = 1


class HostError(UserError):
    """This machine lacks something: a command, a package, a right, a usable folder."""

    exit_code = os.EX_UNAVAILABLE


class OutputError(UserError):
    """The place that was named for the output cannot be used; it is as it was."""

    exit_code = os.EX_CANTCREAT


class CommandError(UserError):
    """A command that this program ran failed; the text has what it said."""
