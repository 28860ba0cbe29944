# SPDX-License-Identifier: MIT
"""Which recipes a frozen program's files come from, by what BitBake wrote down when it filled the recipe's sysroot.

This module and `spdx` are run by BitBake itself: Python's standard library only.
"""

from __future__ import annotations

import json
import pathlib


def _manifests(installed: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the manifest of each recipe in recipe-sysroot-native/installeddeps (OE-core's staging.bbclass).

    There, RECIPE is a link to RECIPE.HASH, a list of files relative to the work directory.
    """
    links = (path for path in sorted(installed.iterdir()) if path.is_symlink() and path.suffix != ".complete")
    return {path.name: path.resolve() for path in links}


def trace(bundle: pathlib.Path, workdir: pathlib.Path, program: str, contents: str) -> dict[str, list[str]]:
    """Return the frozen program's files by the recipe that they come from.

    bundle    the freeze's bundle.json (see `analyse`)
    workdir   ${WORKDIR} of the recipe, in which its sysroots are
    program   path of the executable in the package; the modules packed in it count as it
    contents  path of the directory that everything else is in
    """
    data = json.loads(bundle.read_text(encoding="utf-8"))
    wanted: dict[str, str] = dict.fromkeys(data["modules"], program)
    wanted.update({source: f"{contents}/{name}" for name, source in data["files"].items()})
    prefix = f"{workdir}/"
    relative = {source[len(prefix) :]: name for source, name in wanted.items() if source.startswith(prefix)}
    found: dict[str, set[str]] = {}
    for recipe, manifest in _manifests(workdir / "recipe-sysroot-native" / "installeddeps").items():
        names = {relative[line] for line in manifest.read_text(encoding="utf-8").splitlines() if line in relative}
        if names:
            found[recipe] = names
    return {recipe: sorted(names) for recipe, names in sorted(found.items())}
