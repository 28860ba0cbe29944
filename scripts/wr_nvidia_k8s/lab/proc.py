# SPDX-License-Identifier: MIT
"""What the kernel counts of a process, and the figures that are made of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def memory(pid: int) -> int:
    """Resident set in KiB: proc(5), status."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of the values do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def wakeups(pid: int) -> int:
    """How often its threads have waited: proc(5), status, voluntary_ctxt_switches of each."""
    texts = [path.read_text(encoding="ascii") for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines()
               if line.startswith("voluntary_ctxt_switches:"))


def cpu(pid: int) -> float:
    """User and system time in seconds: proc(5), stat, fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid: int) -> int:
    """How many files, sockets and watches it has open: proc(5), fd."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
