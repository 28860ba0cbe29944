# SPDX-License-Identifier: MIT
"""Where this checkout's parts are."""

from __future__ import annotations

from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
PLUGIN = TOP / "plugin-src"
LAYER = TOP / "meta-wr-nvidia-k8s"
RECIPES = TOP / "recipes-containers"
