# SPDX-License-Identifier: MIT
"""The packages of scripts/wr_nvidia_k8s import downwards only, so that each can be read without those above it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from wr_nvidia_k8s.common.paths import TOP

ROOT = TOP / "scripts" / "wr_nvidia_k8s"
COMMON = {"common"}
DEBIAN = {"debian", *COMMON}
FREEZE = {"freeze", *DEBIAN}
BUILD = {"build", *FREEZE}
LAB = {"lab", "lab.kubelet", "lab.room", *BUILD}
ALLOWED = {
    "common": COMMON,
    "debian": DEBIAN,
    "freeze": FREEZE,
    "build": BUILD,
    "lab.room": {"lab.room", *COMMON},
    "lab.kubelet": {"lab.kubelet", "lab.room", *DEBIAN},
    "lab": LAB,
    "lab.vm": {"lab.vm", *LAB},
    "flash": {"flash", *COMMON},
    "commands": {"commands", "flash", "lab.vm", *LAB},
}


def _package(module: str) -> str:
    """The longest name of `ALLOWED` that a module lies in, below wr_nvidia_k8s; the empty one for none."""
    words = module.split(".")
    return next((name for n in range(len(words), 0, -1) if (name := ".".join(words[:n])) in ALLOWED), "")


def _imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and name of all that is imported, at the top or in a function; names below wr_nvidia_k8s without it."""
    prefix = f"{ROOT.name}."
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.removeprefix(prefix)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}:{node.lineno}: imports are written in full"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}".removeprefix(prefix)


def _violations(root: Path) -> list[str]:
    found = []
    for file in sorted(root.rglob("*.py")):
        own = _package(".".join(file.relative_to(root).with_suffix("").parts))
        if not own:
            if file.name != "__init__.py":
                found.append(f"{file.relative_to(root)}: lies in no package")
            continue
        for line, name in _imports(file):
            package = _package(name)
            if package and package not in ALLOWED[own]:
                found.append(f"{file.relative_to(root)}:{line}: {own} may not import {name}")
    return found


def test_imports_go_downwards() -> None:
    assert not _violations(ROOT)


def test_an_import_that_goes_up_is_found(tmp_path: Path) -> None:
    for name in ("common", "flash"):
        (tmp_path / name).mkdir()
    (tmp_path / "common/up.py").write_text("from wr_nvidia_k8s.flash import usb\n")
    (tmp_path / "flash/late.py").write_text("def use():\n    import wr_nvidia_k8s.lab.room.room\n")
    (tmp_path / "flash/fine.py").write_text("from wr_nvidia_k8s.common.paths import TOP\n")
    (tmp_path / "homeless.py").touch()
    assert _violations(tmp_path) == [
        "common/up.py:1: common may not import flash.usb",
        "flash/late.py:2: flash may not import lab.room.room",
        "homeless.py: lies in no package",
    ]


def test_every_package_says_what_it_is_for_and_what_it_may_import() -> None:
    packages = {_package(".".join(path.relative_to(ROOT).parts)) for path in ROOT.rglob("*.py")} - {""}
    assert packages == set(ALLOWED)
    for name in ALLOWED:
        text = ast.get_docstring(ast.parse((ROOT / name.replace(".", "/") / "__init__.py").read_text())) or ""
        assert "import" in text.lower(), name


def test_flashing_needs_nothing_but_python() -> None:
    """A user flashes with whatever python3 there is: no virtual environment, no package of PyPI."""
    for file in (ROOT / "flash").glob("*.py"):
        foreign = {name.split(".")[0] for _, name in _imports(file) if not _package(name)} - sys.stdlib_module_names
        assert not foreign, f"{file}: {foreign}"


def test_the_architecture_page_shows_the_same_floors() -> None:
    """Its table has a row for each package: name, purpose, and what it may import."""
    page = (TOP / "docs/architecture.md").read_text(encoding="utf-8")
    table = page.partition("| may import |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([\w.]+)` \|[^|]*\|([^|]*)\|$", table, re.MULTILINE)
    shown = {name: {name, *re.findall(r"`([\w.]+)`", imports)} for name, imports in rows}
    assert shown == {name: {name, *allowed} for name, allowed in ALLOWED.items()}


def test_tests_mirror_the_packages() -> None:
    """Whoever looks for the tests of a package finds them by its name."""
    tests = TOP / "tests"
    here = {path.relative_to(tests).parts[0] for path in tests.rglob("test_*.py")}
    subjects = {name.split(".")[0] for name in ALLOWED} - {"commands", "debian"}  # those are tested through scripts/
    assert subjects <= here, f"expected a folder of tests for {subjects - here}"
