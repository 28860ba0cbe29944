# SPDX-License-Identifier: MIT
"""The figures of a run as a picture: one bar per program and figure, each figure on a scale of its own."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

_ROW, _LEFT, _BAR, _RIGHT = 18, 330, 300, 110
_COLOURS = ("#4c78a8", "#bab0ac")


def svg(programs: Mapping[str, Mapping[str, float]]) -> str:
    """An SVG document; `programs` has the figures of each by its name."""
    rows: list[str] = []
    names = list(next(iter(programs.values())))
    for name in names:
        largest = max(figures[name] for figures in programs.values()) or 1
        for index, (program, figures) in enumerate(programs.items()):
            y = _ROW * (len(rows) + 1)
            width = _BAR * figures[name] / largest
            label = f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(f"{name}, {program}")}</text>'
            bar = f'<rect x="{_LEFT}" y="{y + 2}" width="{width:.1f}" height="13" fill="{_COLOURS[index % 2]}"/>'
            rows.append(f'{label}{bar}<text x="{_LEFT + width + 6:.1f}" y="{y + 12}">{figures[name]:.1f}</text>')
    height = _ROW * (len(rows) + 2)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _BAR + _RIGHT}" height="{height}" '
            f'font-family="sans-serif" font-size="11">\n' + "\n".join(rows) + "\n</svg>\n")
