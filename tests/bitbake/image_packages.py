# SPDX-License-Identifier: MIT
"""Run with BitBake's modules, in a build directory: which packages an image consists of, as one line of JSON.

    image_packages.py IMAGE VARIABLE...

``packages`` maps IMAGE, and each package that it installs by name, to all that comes with it: what its packages depend
on or recommend, and so on. ``variables`` has the values of the VARIABLEs in the image's recipe. A package that is only
recommended counts if one of the recipes in task-depends.dot (from ``bitbake -g IMAGE``) makes it. ``refused`` is what
the package manager leaves out (BAD_RECOMMENDATIONS, PACKAGE_EXCLUDE). bb.tinfoil is BitBake's API for such questions.
"""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bb.tinfoil  # type: ignore[import-not-found]

MARK = "image's packages as JSON: "


class Packages:
    """What BitBake knows of packages, of the recipes that are built."""

    def __init__(self, cache: Any, built: set[str]) -> None:
        self._depends, self._recommends, self._names = cache.rundeps, cache.runrecs, cache.pkg_fn
        # By its own name, or by another one that it answers to.
        self._makers: dict[str, set[str]] = {}
        for names in (cache.packages, cache.rproviders):
            for name, files in names.items():
                self._makers.setdefault(name, set()).update(built.intersection(files))
        dynamic = {re.compile(pattern): built.intersection(files) for pattern, files in cache.packages_dynamic.items()}
        self._dynamic = [(pattern, file) for pattern, files in dynamic.items() for file in files]

    def makers(self, name: str) -> set[str]:
        """The recipes that make a package, some of them only when their files have been sorted into packages."""
        return self._makers.get(name) or {file for pattern, file in self._dynamic if pattern.match(name)}

    def closure(self, names: Iterable[str], without: set[str]) -> set[str]:
        """``names`` and all that comes with them, but for ``without``."""
        found: set[str] = set()
        queue = [name for name in names if name not in without]
        while queue:
            name = queue.pop()
            if name in found:
                continue
            found.add(name)
            for file in self.makers(name):
                # A package that answers to other names as well is most often the one that is called as its recipe.
                package = name if name in self._depends[file] else self._names[file]
                queue += self._depends[file].get(package, [])
                queue += [each for each in self._recommends[file].get(package, []) if self.makers(each)]
            queue = [each for each in queue if each not in without]
        return found


def main() -> None:
    """Print the answer."""
    image, *variables = sys.argv[1:]
    graph = Path("task-depends.dot").read_text()
    built = set(re.findall(r'^"[^"]+" \[label="\S+ \S+\\n[^"]*\\n([^"]+)"\]', graph, re.MULTILINE))
    with bb.tinfoil.Tinfoil() as tinfoil:
        tinfoil.prepare(quiet=2)
        recipe = tinfoil.parse_recipe(image)
        packages = Packages(tinfoil.cooker.recipecaches[""], built)
        refused = [recipe.getVar(name) or "" for name in ("BAD_RECOMMENDATIONS", "PACKAGE_EXCLUDE")]
        without = set(" ".join(refused).split())
        installed = recipe.getVar("PACKAGE_INSTALL").split()
        found = {name: sorted(packages.closure([name], without)) for name in installed}
        found[image] = sorted(set().union(*map(set, found.values())))
        values = {name: recipe.getVar(name) for name in variables}
    print(MARK + json.dumps({"packages": found, "variables": values, "refused": sorted(without)}))


main()
