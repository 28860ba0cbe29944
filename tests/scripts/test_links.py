# SPDX-License-Identifier: MIT
"""Every link of the documentation leads somewhere: to a file, to a heading, or to a well-formed address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

TOP = Path(__file__).resolve().parents[2]
FOLDERS = (".", "docs", "examples", "meta-wr-nvidia-k8s", "plugin-src", "recipes-containers", "scripts", "tests")
DOCUMENTS = sorted(path for folder in FOLDERS for path in (TOP / folder).glob("*.md"))


class _Html(HTMLParser):
    """The targets in HTML of a document, such as <picture>."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the base's
        self.targets += [value or "" for name, value in attrs if name in ("href", "src", "srcset")]


def _tokens(document: Path) -> Iterator[Token]:
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(document.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def _targets(document: Path) -> list[str]:
    html = _Html()
    found = []
    for token in _tokens(document):
        if token.type in ("link_open", "image"):
            found.append(str(token.attrGet("href") or token.attrGet("src") or ""))
        elif token.type in ("html_block", "html_inline"):
            html.feed(token.content)
    return found + html.targets


def _anchors(document: Path) -> set[str]:
    """The headings' anchors as GitHub makes them: in lower case, without punctuation, a dash for each space."""
    anchors: set[str] = set()
    tokens = list(_tokens(document))
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            text = "".join(child.content for child in inline.children or ())
            anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            numbered = (f"{anchor}-{n}" for n in range(1, len(tokens)))
            anchors.add(anchor if anchor not in anchors else next(name for name in numbered if name not in anchors))
    return anchors


def _problem(document: Path, target: str) -> str:
    """What is wrong with a link; empty for nothing."""
    address = urlsplit(target)
    if address.scheme or address.netloc:
        well_formed = address.scheme == "https" and re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", address.netloc)
        return "" if well_formed and not re.search(r"\s", target) else "expected https://HOST/..."
    file = (document.parent / unquote(address.path)).resolve() if address.path else document
    if not file.exists():
        return "no such file"
    if not file.is_relative_to(document.parent) and not file.is_relative_to(TOP):
        return "leads out of the repository"
    if address.fragment and address.fragment not in _anchors(file):
        return f"no such heading; there are: {', '.join(sorted(_anchors(file)))}"
    return ""


def _problems(document: Path) -> list[str]:
    return [f"{target}: {problem}" for target in _targets(document) if (problem := _problem(document, target))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_links_lead_somewhere(document: Path) -> None:
    assert not _problems(document)


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# What is `in` it?\n\n## Twice\n\n## Twice\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[fine](there.md#what-is-in-it) [fine](there.md#twice-1) [fine](https://kubernetes.io/docs/#a)\n"
        "[a](gone.md) [b](there.md#gone) [c](#gone) [d](http://kubernetes.io) [e](https://localhost/x)\n\n"
        "`[no](link)`\n\n"
        '<picture><source srcset="gone.svg"><img src="there.md"></picture>\n'
    )
    found = [problem.split(":")[0] for problem in _problems(page)]
    assert found == ["gone.md", "there.md#gone", "#gone", "http", "https", "gone.svg"]
