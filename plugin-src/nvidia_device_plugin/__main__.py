# SPDX-License-Identifier: MIT
"""`python -m nvidia_device_plugin`: the program without an installed entry point."""

import sys

from nvidia_device_plugin.cli import main

sys.exit(main())
