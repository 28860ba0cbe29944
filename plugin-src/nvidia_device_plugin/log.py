# SPDX-License-Identifier: MIT
"""Logging to stderr, the way journald likes it.

Each line starts with the syslog priority in angle brackets (sd-daemon(3)), so `journalctl -p err` works
without a date of our own in every line. On a terminal the prefix is left out.
"""

import logging
import os
import sys

_PRIORITY = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


class JournalFormatter(logging.Formatter):
    """Puts the priority in front of every line, the lines of a traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_PRIORITY.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def set_up() -> None:
    """Send the log to stderr from now on; nowhere where stderr is closed."""
    if sys.stderr is None:
        # Or the next socket would take its number, and whatever writes to stderr would write into that.
        while os.open(os.devnull, os.O_RDWR) < 2:
            pass
        logging.basicConfig(level=logging.INFO, handlers=[logging.NullHandler()], force=True)
        return
    handler = logging.StreamHandler(sys.stderr)
    if not sys.stderr.isatty():
        handler.setFormatter(JournalFormatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
