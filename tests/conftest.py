# SPDX-License-Identifier: MIT
"""What every test stands on: the plugin's generated modules, and the commands that start it."""

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Generate the message classes with this environment's protoc, so that the source tree can be imported."""
    subprocess.run([sys.executable, "setup.py", "-q", "protoc"], cwd=TOP / "plugin-src", check=True)
