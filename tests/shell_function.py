# SPDX-License-Identifier: MIT
"""A shell function of a class or recipe, run as BitBake does: with its variables expanded before."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def run(file: Path, name: str, **variables: object) -> subprocess.CompletedProcess[str]:
    """Run ``name`` of ``file``. Variables that are not given have the values that ``file`` assigns to them."""
    text = file.read_text()
    (body,) = re.findall(rf"(?ms)^{name}\(\) \{{\n.*?^\}}$", text)
    assigned = dict(re.findall(r'(?m)^([A-Z][A-Z_]*) = "(.*)"$', text))
    for variable, value in {**assigned, **variables}.items():
        body = body.replace(f"${{{variable}}}", str(value))
    assert "${" not in body
    script = f'bbfatal() {{ echo "ERROR: $*" >&2; exit 1; }}\numask 022\nset -e\n{body}\n{name}\n'
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
