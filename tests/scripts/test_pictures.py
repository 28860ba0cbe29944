# SPDX-License-Identifier: MIT
"""The documentation's pictures: drawn from their sources, and legible on light and dark pages."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

TOP = Path(__file__).resolve().parents[2]
DOCS = TOP / "docs"
SOURCES = sorted(DOCS.glob("*.dot"))


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw", DOCS / "draw.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


draw = _load()


def _drawing(svg: str) -> list[tuple[str, str, dict[str, str]]]:
    """What is drawn, without where: another version of Graphviz or another font moves things by fractions."""
    return [
        (element.tag, (element.text or "").strip(),
         {name: element.get(name, "") for name in ("class", "fill", "stroke", "stroke-dasharray", "font-size")})
        for element in ElementTree.fromstring(svg).iter()
    ]  # fmt: skip


@pytest.mark.parametrize("theme", draw.THEMES)
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_each_picture_is_what_its_source_says(source: Path, theme: str) -> None:
    if not shutil.which("neato"):
        pytest.skip("neato (Debian's package graphviz) is not installed")
    stored = source.with_name(f"{source.stem}-{theme}.svg").read_text(encoding="utf-8")
    assert _drawing(stored) == _drawing(draw.render(source, theme)), "run docs/draw.py"


def test_the_readme_shows_both_of_each_picture() -> None:
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    assert SOURCES
    for source in SOURCES:
        assert f'<source media="(prefers-color-scheme: dark)" srcset="docs/{source.stem}-dark.svg">' in readme
        assert f'src="docs/{source.stem}-light.svg"' in readme


def _luminance(colour: str) -> float:
    """WCAG 2.2, "relative luminance", of #rrggbb."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", draw.THEMES)
@pytest.mark.parametrize("text", ["ink", "muted"])
@pytest.mark.parametrize("ground", ["panel", "box", "ours"])
def test_text_stands_out_from_its_ground(theme: str, text: str, ground: str) -> None:
    colours = draw.THEMES[theme]
    dark, light = sorted(_luminance(colours[name]) for name in (text, ground))
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, 1.4.3 Contrast (Minimum)


def test_the_command_draws_the_pictures_that_are_stored(tmp_path: Path) -> None:
    if not shutil.which("neato"):
        pytest.skip("neato (Debian's package graphviz) is not installed")
    for file in (DOCS / "draw.py", *SOURCES):
        shutil.copy(file, tmp_path)
    subprocess.run([tmp_path / "draw.py"], check=True, timeout=60)
    drawn = {path.name for path in tmp_path.glob("*.svg")}
    assert drawn == {path.name for path in DOCS.glob("*.svg")}
