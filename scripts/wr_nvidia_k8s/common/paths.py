# SPDX-License-Identifier: MIT
"""Where this checkout's parts are, and the trees of the other layers."""

from __future__ import annotations

from pathlib import Path

from wr_nvidia_k8s.common import cache

TOP = Path(__file__).resolve().parents[3]
PLUGIN = TOP / "plugin-src"
LAYER = TOP / "meta-wr-nvidia-k8s"
RECIPES = TOP / "recipes-containers"
LAYERS = cache.root() / "layers"
