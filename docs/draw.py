#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Render each docs/*.dot to NAME-light.svg and NAME-dark.svg beside it, with Graphviz (apt-get install graphviz)."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from string import Template
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
# GitHub's colours of both kinds of page (primer.style), with green for what is of this repository.
THEMES = {
    "light": {
        "ink": "#1f2328", "muted": "#59636e", "panel": "#f6f8fa", "box": "#ffffff", "line": "#d1d9e0",
        "ours": "#dafbe1", "ours_line": "#4ac26b", "arrow": "#818b98",
    },
    "dark": {
        "ink": "#f0f6fc", "muted": "#9198a1", "panel": "#151b23", "box": "#212830", "line": "#3d444d",
        "ours": "#12351f", "ours_line": "#238636", "arrow": "#9198a1",
    },
}  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"
TITLE_RISE = 3  # points between a box's title and the text below it, beyond the line's height


def render(source: Path, theme: str) -> str:
    """The picture as SVG: each box's text is centred by the viewer, whose fonts are others than this machine's."""
    graph = Template(source.read_text(encoding="utf-8")).substitute(THEMES[theme])
    # -n2: the places of the source are taken as they are.
    svg = subprocess.run(["neato", "-n2", "-Tsvg"], input=graph, check=True, capture_output=True, text=True).stdout
    root = ElementTree.fromstring(svg)
    for node in root.iter(f"{SVG}g"):
        box = node.find(f"{SVG}path")
        texts = node.findall(f"{SVG}text")
        if node.get("class") != "node" or box is None:
            continue
        xs = [float(x) for x in re.findall(r"(-?[\d.]+),", box.get("d", ""))]
        for text in texts:
            text.set("text-anchor", "middle")
            text.set("x", f"{(min(xs) + max(xs)) / 2:g}")
            if text.get("font-weight") == "bold" and len(texts) > 1:
                text.set("y", f"{float(text.get('y', '')) - TITLE_RISE:g}")
    ElementTree.register_namespace("", SVG.strip("{}"))
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def main() -> int:
    argparse.ArgumentParser(prog="docs/draw.py", description=__doc__).parse_args()
    for source in sorted(HERE.glob("*.dot")):
        for theme in THEMES:
            source.with_name(f"{source.stem}-{theme}.svg").write_text(render(source, theme), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
