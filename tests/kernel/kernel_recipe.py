# SPDX-License-Identifier: MIT
"""Run with BitBake's modules, in a build directory: what becomes of the image's kernel, as one line of JSON.

The result maps the state of this layer to what the kernel's recipe is in it: "on" (the distribution feature
nvidia-k8s is set), "off" (it is not) and "without" (our .bbappend files are not there, either). Of each, the kernel's
``recipe`` file, ``KERNEL_FEATURES`` and ``SRC_URI``, the ``files`` that are found for the local names in SRC_URI
(null where there is none), and the ``hashes`` of its tasks, of each without the tasks that it depends on: they come
from classes/kernel-hashes.bbclass, which the configuration inherits.
bb.tinfoil is BitBake's API for such questions.
"""

import json

import bb.data  # type: ignore[import-not-found]
import bb.tinfoil  # type: ignore[import-not-found]
import bb.utils  # type: ignore[import-not-found]

MARK = "kernel as JSON: "
OURS = "/meta-wr-nvidia-k8s/"


def local_files(recipe: "bb.data_smart.DataSmart") -> dict[str, str | None]:
    """The local names in SRC_URI, with the file or folder that BitBake finds for each."""
    words = [word.partition(";")[0] for word in recipe.getVar("SRC_URI").split()]
    names = [word.removeprefix("file://") for word in words if word.startswith("file://")]
    return {name: bb.utils.which(recipe.getVar("FILESPATH"), name) or None for name in names}


def main() -> None:
    """Print the three states."""
    states: dict[str, dict[str, object]] = {}
    # LTS22's prepare() wants the logging set up.
    with bb.tinfoil.Tinfoil() as tinfoil:
        tinfoil.prepare(quiet=2)
        file = tinfoil.get_recipe_file(tinfoil.config_data.getVar("PREFERRED_PROVIDER_virtual/kernel"))
        appends = tinfoil.get_file_appends(file)
        for state in ("on", "off", "without"):
            config = bb.data.createCopy(tinfoil.config_data)
            if state != "on":
                config.setVar("DISTRO_FEATURES:remove", "nvidia-k8s")
            chosen = [path for path in appends if state != "without" or OURS not in path]
            recipe = tinfoil.parse_recipe_file(file, appendlist=chosen, config_data=config)
            states[state] = {
                "recipe": file,
                "SRC_URI": recipe.getVar("SRC_URI"),
                "KERNEL_FEATURES": recipe.getVar("KERNEL_FEATURES"),
                "files": local_files(recipe),
                "hashes": json.loads(recipe.getVar("KERNEL_HASHES", False)),
            }
    print(MARK + json.dumps(states))


main()
