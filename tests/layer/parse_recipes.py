# SPDX-License-Identifier: MIT
"""Run with BitBake's modules, in a build directory: what BitBake makes of single recipe files, as one line of JSON.

    parse_recipes.py QUESTIONS.json

The file holds a list of questions: {"recipe": FILE, "settings": {NAME: VALUE}, "read": [NAME, ...]}, of which
``settings`` come on top of local.conf, and NAME may be NAME[FLAG].
The result is a list of objects: each name read, and under ``skipped``
BitBake's reason not to offer the recipe, null where it does. bb.tinfoil is BitBake's API for such questions.
"""

import json
import sys
from pathlib import Path
from typing import Any

import bb.data  # type: ignore[import-not-found]
import bb.tinfoil  # type: ignore[import-not-found]

MARK = "recipes as JSON: "


def _read(recipe: Any, name: str) -> object:
    """A variable, or as NAME[FLAG] a flag of one."""
    variable, _, flag = name.rstrip("]").partition("[")
    return recipe.getVarFlag(variable, flag) if flag else recipe.getVar(variable)


def main() -> None:
    """Print the answers to the questions in the file that the first argument names."""
    answers = []
    with bb.tinfoil.Tinfoil(setup_logging=False) as tinfoil:
        tinfoil.prepare(config_only=True, quiet=2)
        for question in json.loads(Path(sys.argv[1]).read_text()):
            config = bb.data.createCopy(tinfoil.config_data)
            for name, value in question.get("settings", {}).items():
                config.setVar(name, value)
            recipe = tinfoil.parse_recipe_file(question["recipe"], appends=False, config_data=config)
            answer = {name: _read(recipe, name) for name in question.get("read", [])}
            answer["skipped"] = recipe.getVar("__SKIPPED", False)
            answers.append(answer)
    print(MARK + json.dumps(answers))


main()
