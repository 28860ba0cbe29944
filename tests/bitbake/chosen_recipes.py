# SPDX-License-Identifier: MIT
"""Run with BitBake's modules, in a build directory: the recipes that BitBake chooses for names, as one line of JSON.

    chosen_recipes.py NAME...

The result maps each name to {"file": FILE, "PV": VERSION, "RDEPENDS": NAMES, "skipped": null}, or to {"skipped":
REASON} where no recipe of that name can be built. bb.tinfoil is BitBake's API for such questions.
"""

import json
import sys

import bb.providers  # type: ignore[import-not-found]
import bb.tinfoil  # type: ignore[import-not-found]

MARK = "chosen recipes as JSON: "


def main() -> None:
    """Print what is chosen for the names in the arguments."""
    found: dict[str, dict[str, object]] = {}
    with bb.tinfoil.Tinfoil() as tinfoil:
        tinfoil.prepare(quiet=2)
        for name in sys.argv[1:]:
            try:
                file = tinfoil.get_recipe_file(name)
            except bb.providers.NoProvider as error:
                found[name] = {"skipped": str(error)}
                continue
            recipe = tinfoil.parse_recipe_file(file)
            found[name] = {"file": file, "PV": recipe.getVar("PV"), "skipped": None}
            found[name]["RDEPENDS"] = sorted((recipe.getVar(f"RDEPENDS:{name}") or "").split())
    print(MARK + json.dumps(found))


main()
